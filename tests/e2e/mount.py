"""A disk of a chosen size, to be filled. Needs the right to mount."""

import errno
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


@contextmanager
def small_disk(place: Path, size: str) -> Iterator[Path]:
    """A tmpfs of `size` (such as 8m) at `place`; the test is skipped where mounting isn't allowed."""
    place.mkdir(parents=True, exist_ok=True)
    if os.geteuid() != 0:
        pytest.skip("only root may mount the small disk that this test fills")
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={size},mode=0700", "tmpfs", str(place)],
        capture_output=True,
        text=True,
    )
    if mounted.returncode:
        pytest.skip(f"mounting a small disk isn't allowed here: {mounted.stderr.strip()}")
    try:
        yield place
    finally:
        subprocess.run(["umount", "--lazy", str(place)], check=True)


def fill(folder: Path, leave: int = 0) -> Path:
    """Fill the disk of `folder` but for `leave` bytes; remove the file that this returns to free it again."""
    ballast = folder / "ballast"
    left = os.statvfs(folder).f_bavail * os.statvfs(folder).f_bsize - leave if leave else 2**40
    try:
        with ballast.open("wb", buffering=0) as file:
            while left > 0:
                left -= file.write(bytes(min(left, 2**16)))
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
    return ballast
