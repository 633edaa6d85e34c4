"""Files that are whole or absent: atomic writes, durable renames, hashes."""

import contextlib
import errno
import fcntl
import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import orjson


def is_disk_full(error: BaseException) -> bool:
    """Whether an exception says that a disk, or the user's share of it, is full."""
    return isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)


def fsync_folder(folder: Path) -> None:
    """Make renames inside `folder` survive a power loss."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write_bytes(path: Path, content: bytes) -> None:
    """Write `path` so that a reader sees the old content or the new, never a part."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, aside = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(aside, path)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(aside)
        raise
    fsync_folder(path.parent)


def write_json(path: Path, value: object) -> None:
    """Write a JSON document atomically, indented for people."""
    write_bytes(path, orjson.dumps(value, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))


def read_json(path: Path) -> dict[str, object]:
    """Read a JSON object. Raises FileNotFoundError, or ValueError when it is not an object."""
    value = orjson.loads(path.read_bytes())
    if not isinstance(value, dict):
        raise ValueError(f"{path} holds {type(value).__name__}, not an object")
    return value


def copy_file(source: Path, target: Path) -> None:
    """Copy a file's bytes, and see them on the disk."""
    shutil.copyfile(source, target)
    with target.open("rb") as file:
        os.fsync(file.fileno())


def sha256_file(path: Path) -> str:
    """The SHA-256 of a file's bytes, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def append_line(path: Path, line: bytes) -> None:
    """Append one line, whole or not at all, in a single write. One writer only. Raises OSError ENOSPC."""
    whole = line.rstrip(b"\n") + b"\n"
    handle = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    try:
        before = os.fstat(handle).st_size
        if os.write(handle, whole) < len(whole):  # the disk became full within the line
            os.ftruncate(handle, before)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
    finally:
        os.close(handle)


def whole_lines(path: Path, offset: int) -> Iterator[tuple[bytes, int]]:
    """Yield (line, offset after it) for every finished line from `offset`; an unfinished last line waits."""
    try:
        file = path.open("rb")
    except FileNotFoundError:
        return
    with file:
        file.seek(offset)
        for line in file:
            if not line.endswith(b"\n"):
                return
            offset += len(line)
            yield line[:-1], offset


def prune_folders(folder: Path, keep_bytes: int) -> None:
    """Delete the folders in `folder` that were touched longest ago, until the rest takes at most `keep_bytes`."""
    found: list[tuple[float, Path]] = []
    for path in folder.iterdir() if folder.is_dir() else ():
        with contextlib.suppress(FileNotFoundError):  # another process deletes too
            found.append((path.stat().st_mtime, path))
    for _, path in sorted(found, reverse=True):
        keep_bytes -= sum(size_of(file) for file in path.glob("*"))
        if keep_bytes < 0:
            shutil.rmtree(path, ignore_errors=True)


def size_of(file: Path) -> int:
    """A file's bytes; 0 where it is gone."""
    try:
        return file.stat().st_size
    except FileNotFoundError:
        return 0


def folder_size(folder: Path) -> int:
    """The bytes of all files below a folder."""
    return sum(size_of(path) for path in folder.rglob("*") if path.is_file() and not path.is_symlink())


class FolderLock:
    """An exclusive hold on a folder by one process; the kernel frees it when the process ends, however."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._handle: int | None = None

    def acquire(self) -> bool:
        """Take the lock; False when another process has it."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(handle)
            return False
        self._handle = handle
        return True

    def release(self) -> None:
        """Give the lock back; harmless when it isn't held."""
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None


def hash_folder(folder: Path) -> str:
    """One SHA-256 over the names and contents of a folder's files."""
    listing = {path.name: sha256_file(path) for path in folder.iterdir() if path.is_file()}
    return hashlib.sha256(orjson.dumps(listing, option=orjson.OPT_SORT_KEYS)).hexdigest()
