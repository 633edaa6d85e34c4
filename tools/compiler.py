"""Makes sure that there is a C compiler for the compiled parts; installs Debian's where it may."""

import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

if (
    not any(map(shutil.which, ("cc", "gcc", "clang")))
    or not Path(sysconfig.get_path("include"), "Python.h").exists()
):
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        sys.exit(
            "The tests need a C compiler and Python's headers: install `gcc` and `python3-dev`, then try again."
        )
    quiet = {"stdout": subprocess.DEVNULL, "env": {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}}
    wanted = ["gcc", "libc6-dev", "python3-dev"]
    subprocess.run(["apt-get", "-qq", "update"], check=True, **quiet)
    subprocess.run(["apt-get", "-qq", "install", "--no-install-recommends", *wanted], check=True, **quiet)
