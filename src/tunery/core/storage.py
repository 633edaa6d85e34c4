"""What a disk refuses, as a Problem: no room, nothing may be written, it fails. Knows no file of Tunery's."""

import errno
import os
from pathlib import Path

from tunery.core.errors import Problem
from tunery.core.files import is_disk_full

PASSING = frozenset({"disk_full", "disk_unwritable"})
"""Codes of what goes away when someone sees to the disk, with nothing of a run lost."""
_REFUSALS = (errno.EROFS, errno.EIO)
_FORBIDDEN = (errno.EACCES, errno.EPERM)


def storage_problem(error: BaseException, path: Path) -> Problem | None:
    """`disk_full` or `disk_unwritable` where the disk that holds `path` refused; None for any other error."""
    if is_disk_full(error):
        return Problem("disk_full", path=str(path))
    if not isinstance(error, OSError) or error.errno is None:
        return None
    ours = isinstance(error.filename, str) and Path(error.filename).is_relative_to(path)
    if error.errno in _REFUSALS or (error.errno in _FORBIDDEN and ours):
        return Problem("disk_unwritable", path=str(path), detail=os.strerror(error.errno))
    return None
