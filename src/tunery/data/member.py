"""One file of a ZIP archive that may hold anything else as well: found by name, unpacked with a limit.

Only the bytes of that member are read; its name is a label and never a path.
"""

import posixpath
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from zipfile import BadZipFile, ZipFile, ZipInfo

from tunery.core.errors import Problem, Where
from tunery.data.archive import MAX_MEMBERS
from tunery.data.unpack import GRACE_BYTES, MAX_RATIO, MAX_UNPACKED

_CHUNK = 1 << 20
_SMALL = 4 << 20


def read_small(archive: Path, name: str, wanted: str) -> tuple[str, bytes]:
    """The file called `wanted` that lies highest in the archive: its full name and bytes. `name` is the archive's.

    Raises Problem `file_unreadable`.
    """
    with _opened(archive, name) as opened:
        found = [info for info in opened.infolist() if posixpath.basename(info.filename) == wanted]
        if not found:
            raise _refused(name, f"it contains no {wanted}")
        info = min(found, key=lambda one: (one.filename.count("/"), one.filename))
        if info.file_size > _SMALL:
            raise _refused(name, f"its {wanted} is larger than {_SMALL >> 20} MiB")
        return info.filename, b"".join(_chunks(opened, info, name))


def names_in(archive: Path, name: str) -> set[str]:
    """What the archive holds. Raises Problem `file_unreadable`."""
    with _opened(archive, name) as opened:
        return {info.filename for info in opened.infolist() if not info.is_dir()}


def unpack_member(archive: Path, name: str, member: str, target: Path) -> None:
    """Write one member's bytes to `target`. Raises Problem `file_unreadable`."""
    with _opened(archive, name) as opened, target.open("wb") as out:
        found = [info for info in opened.infolist() if info.filename == member]
        if len(found) != 1:
            raise _refused(name, f"it contains {len(found)} files called {member}")
        for chunk in _chunks(opened, found[0], name):
            out.write(chunk)


def _chunks(archive: ZipFile, info: ZipInfo, name: str) -> Iterator[bytes]:
    if info.flag_bits & 0x1:
        raise _refused(name, f"its member {info.filename} is encrypted; pack it without a password")
    size = 0
    with archive.open(info) as file:
        while chunk := file.read(_CHUNK):
            size += len(chunk)
            bomb = size > GRACE_BYTES and size > MAX_RATIO * max(info.compress_size, 1)
            if bomb or size > MAX_UNPACKED:
                raise _refused(name, f"its member {info.filename} decompresses to an implausible size")
            yield chunk


@contextmanager
def _opened(archive: Path, name: str) -> Iterator[ZipFile]:
    try:
        with ZipFile(archive) as opened:
            if len(opened.infolist()) > MAX_MEMBERS:
                raise _refused(name, f"it holds more than {MAX_MEMBERS:,} files")
            yield opened
    except (BadZipFile, zlib.error, EOFError, NotImplementedError, ValueError) as error:
        detail = f"it isn't a ZIP archive or is damaged: {' '.join(str(error).split())[:200]}"
        raise _refused(name, detail) from error


def _refused(name: str, detail: str) -> Problem:
    return Problem("file_unreadable", where=Where(file=name), path=name, detail=detail)
