"""Makes sure that PostgreSQL's programs are there for the tests; installs Debian's where it may."""

import os
import shutil
import subprocess
import sys
from pathlib import Path


def programs() -> Path:
    """The folder with initdb and postgres. Raises FileNotFoundError."""
    found = shutil.which("initdb")
    if found:
        return Path(found).resolve().parent
    places = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[4]))
    if not places:
        raise FileNotFoundError("PostgreSQL's initdb: install the package `postgresql`, then try again.")
    return places[-1].parent


def main() -> None:
    try:
        programs()
    except FileNotFoundError as missing:
        if os.geteuid() != 0 or shutil.which("apt-get") is None:
            sys.exit(f"The tests need {missing}")
        quiet = {"stdout": subprocess.DEVNULL, "env": {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}}
        subprocess.run(["apt-get", "-qq", "update"], check=True, **quiet)
        subprocess.run(
            ["apt-get", "-qq", "install", "--no-install-recommends", "postgresql"], check=True, **quiet
        )


if __name__ == "__main__":
    main()
