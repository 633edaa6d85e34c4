"""A folder that turns read-only under those who use it. Needs the right to mount."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


@contextmanager
def read_only(folder: Path) -> Iterator[None]:
    """Whatever is opened there from now on can only be read; the test is skipped where mounting isn't allowed."""
    if os.geteuid() != 0:
        pytest.skip("only root may mount the read-only folder of this test")
    bound = subprocess.run(["mount", "--bind", folder, folder], capture_output=True, text=True)
    if bound.returncode:
        pytest.skip(f"mounting a folder isn't allowed here: {bound.stderr.strip()}")
    try:
        subprocess.run(["mount", "-o", "remount,bind,ro", folder], check=True)
        yield
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)
