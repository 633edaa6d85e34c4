"""What is wrong when the database refuses: full, locked, not writable, damaged, gone. Nothing of it is a defect here.

Whoever works in the background waits and tries again; who waits for an answer gets a Problem.
"""

from pathlib import Path

from sqlalchemy.exc import DBAPIError, OperationalError

from tunery.core.errors import Problem

_FULL = ("disk is full", "No space left on device")
_BUSY = ("database is locked", "database table is locked", "lock timeout")
_DAMAGED = ("malformed", "file is not a database", "invalid page in block")
_UNWRITABLE = ("readonly database", "disk I/O error", "unable to open database", "Read-only file system")


def is_damage(error: BaseException) -> bool:
    """Whether a driver's exception says that what is on the disk can't be right."""
    return any(sign in str(error) for sign in _DAMAGED)


def database_problem(error: BaseException, folder: Path) -> Problem | None:
    """The Problem that an exception of the database stands for; None where it is another kind of error."""
    if not isinstance(error, DBAPIError):
        return None
    said = str(error.orig).partition("\n")[0]
    if any(sign in said for sign in _FULL):
        return Problem("disk_full", path=str(folder))
    if is_damage(error.orig or error):
        return Problem("database_damaged", path=str(folder), detail=said)
    if any(sign in said for sign in _BUSY):
        return Problem("database_busy", detail=said)
    if any(sign in said for sign in _UNWRITABLE):
        return Problem("disk_unwritable", path=str(folder), detail=said)
    return Problem("database_unusable", detail=said) if isinstance(error, OperationalError) else None
