"""Tries the few tests that failed in a whole run once more, alone: `python tools/again.py`, after pytest has failed.

Tests that kill and stop processes share a machine with the rest of the suite, and an unlucky moment must not be taken
for a broken product. Nothing is hidden: what passes only alone is printed as what it is, a defect of that test, and
more than a few failures are never tried again.
"""

import json
import subprocess
import sys
from pathlib import Path

FEW = 3
FAILED = Path(".pytest_cache/v/cache/lastfailed")


def main() -> int:
    """0 where each of a few failed tests passes alone."""
    failed = sorted(json.loads(FAILED.read_bytes())) if FAILED.exists() else []
    if not 0 < len(failed) <= FEW or not all("::" in test for test in failed):
        return 1
    sys.stdout.write(f"\n{len(failed)} failed beside the others; once more, alone.\n")
    sys.stdout.flush()
    done = subprocess.run([sys.executable, "-m", "pytest", "-n0", *failed], check=False)
    if done.returncode == 0:
        names = "".join(f"  {test}\n" for test in failed)
        sys.stdout.write(f"\nUNSTEADY, to be mended: failed beside other tests, passed alone:\n{names}")
    return done.returncode


if __name__ == "__main__":
    sys.exit(main())
