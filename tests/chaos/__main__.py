"""Many short runs while something is killed, stopped or restarted every few seconds; leaves chaos-report.json.

    python -m tests.chaos [--runs 200] [--every 3] [--database postgresql] [--seed 0]

A server with its worker and a second worker, real processes all; only the engine is the one that counts instead of
computing. Ends with an error where a run was lost, stuck, run twice or published twice.
"""

import argparse
import sys
import tempfile
from pathlib import Path

from tests.chaos.place import Place, Postgres
from tests.chaos.report import report, write
from tests.chaos.trial import Trial

_WRONG = ("lost", "stuck", "double_run", "double_published")


def main() -> int:
    """Try, print, write the report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=200)
    parser.add_argument("--every", type=float, default=3.0, help="seconds from one fault to the next")
    parser.add_argument("--database", choices=("sqlite", "postgresql"), default="postgresql")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--report", type=Path, default=Path("chaos-report.json"))
    options = parser.parse_args()
    postgres = Postgres() if options.database == "postgresql" else None
    try:
        with tempfile.TemporaryDirectory(prefix="tunery-chaos-") as folder:
            place = Place(Path(folder), postgres)
            try:
                trial = Trial(place, options.runs, options.every, options.seed)
                trial.run()
                faults = trial.faults
                found = report(place, len(trial.made), faults.done.total(), faults.detected)
                kept = place.log()
            finally:
                place.close()
    finally:
        if postgres is not None:
            postgres.close()
    write(found, options.report)
    for name, count in sorted(faults.done.items()):
        sys.stdout.write(f"{count:4} {name}\n")
    for name, count in sorted(faults.amid.items()):
        sys.stdout.write(f"{count:4} amid {name}\n")
    sys.stdout.write("\n".join(f"{name}: {value}" for name, value in found.items()) + "\n")
    failed = any(found[name] for name in _WRONG)
    if failed:
        sys.stderr.write(kept[-20_000:])
    return int(failed)


if __name__ == "__main__":
    raise SystemExit(main())
