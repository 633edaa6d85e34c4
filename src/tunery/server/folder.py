"""Making a data folder ready for a server, and holding it while the server runs."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tunery.core.errors import Problem
from tunery.core.files import FolderLock, write_bytes
from tunery.core.folder import LAYOUT, DataFolder


@contextmanager
def hold_folder(path: Path) -> Iterator[DataFolder]:
    """Make the folder if need be and keep other servers out of it.

    Raises Problem `data_folder_unusable`, `data_folder_in_use`, `data_folder_newer`.
    """
    folder = DataFolder(path)
    lock = FolderLock(folder.lock)
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        held = lock.acquire()
    except OSError as error:
        raise _unusable(path, error) from error
    if not held:
        raise Problem("data_folder_in_use", path=str(path))
    try:
        prepare_folder(folder)
        yield folder
    finally:
        lock.release()


def prepare_folder(folder: DataFolder) -> None:
    """Lay the folder out. Raises Problem `data_folder_unusable`, `data_folder_newer`."""
    try:
        for part in folder.folders:
            part.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not folder.version.exists():
            write_bytes(folder.version, f"{LAYOUT}\n".encode())
        found = folder.version.read_text(encoding="ascii").strip()
        if not os.access(folder.path, os.W_OK):
            raise PermissionError(13, os.strerror(13), str(folder.path))
    except (OSError, UnicodeDecodeError) as error:
        raise _unusable(folder.path, error) from error
    if not found.isdecimal():
        raise Problem("data_folder_unusable", path=str(folder.path), detail=f"its VERSION says “{found}”")
    if int(found) > LAYOUT:
        raise Problem("data_folder_newer", path=str(folder.path), found=f"layout {found}")


def _unusable(path: Path, error: OSError | UnicodeDecodeError) -> Problem:
    detail = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return Problem("data_folder_unusable", path=str(path), detail=detail)
