"""Makes sure that a Chromium is there for the tests of the console; installs Debian's where it may."""

import os
import shutil
import subprocess
import sys

if shutil.which("chromium") is None:
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        sys.exit("The tests of the console need Chromium: install the package `chromium`, then try again.")
    quiet = {"stdout": subprocess.DEVNULL, "env": {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}}
    subprocess.run(["apt-get", "-qq", "update"], check=True, **quiet)
    subprocess.run(["apt-get", "-qq", "install", "--no-install-recommends", "chromium"], check=True, **quiet)
