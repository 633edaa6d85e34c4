"""A file as a user brings it -> blocks of rows. What it is, its content says; its name only parts .txt from .jsonl.

Nothing is unpacked to disk. Compressed bytes are read as a stream, and no further once they swell like a bomb.
"""

import gzip
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import IO, TYPE_CHECKING, BinaryIO
from zipfile import BadZipFile

from tunery.core.errors import Problem, Where
from tunery.data.archive import members
from tunery.data.attach import Images
from tunery.data.block import Block, Record, ValueBlock
from tunery.data.chunks import CHUNK, Chunks, FileChunks
from tunery.data.magic import kind_of, stem
from tunery.data.reader import read_blocks
from tunery.data.table import looks_like_table, read_table

if TYPE_CHECKING:
    import pyarrow as pa

MAX_RATIO = 100
"""Unpacked bytes for each packed one; text as people write it stays below 10."""
GRACE_BYTES = 32 << 20
"""So much may come out before the ratio counts."""
MAX_UNPACKED = 256 << 30
_TABLE_HEAD = 1 << 16
"""So much is looked at to tell a table."""

Progress = Callable[[int], None]


def read_file(
    path: Path,
    name: str | None = None,
    *,
    images: Images,
    salvage: bool = False,
    progress: Progress | None = None,
) -> Iterator[tuple[str, Block]]:
    """Every row of a file, with the name of the (member) file it stands in; `name` is what to call the file.

    `images` is told which pictures lie beside the rows; `progress` the bytes read so far. `salvage`: an array that is
    cut off gives what stands before the cut.
    Raises Problem `file_missing`, `file_unreadable`, `json_broken`.
    """
    name = name or path.name
    with _opened(path) as file, _readable(name):
        size = path.stat().st_size
        seen = 0

        def told(packed: int) -> None:
            nonlocal seen
            seen = max(seen, packed)
            if progress:
                progress(seen)

        yield from _read(path, file, name, salvage, told, images)
        told(size)


def _read(
    path: Path, file: BinaryIO, name: str, salvage: bool, told: Progress, images: Images
) -> Iterator[tuple[str, Block]]:
    kind = kind_of(file, name)
    if kind == "zip":
        for member in members(file, name, partial(images.archive, path)):
            picture = images.rows_in(member.label, member.file_name)
            with member.open() as unpacked:
                chunks = _limited(unpacked, member.label, told, lambda _, m=member: m.packed, member.before)
                rows = read_rows(chunks, member.label, member.file_name, salvage)
                captions = picture is not None and member.file_name.lower().endswith(".txt")
                yield from _captions(rows, picture) if captions else rows
    elif kind == "parquet":
        with _arrow(name):
            from tunery.data.columns import read_parquet

            for block in read_parquet(file, name):
                told(file.tell())
                yield name, block
    elif kind == "gzip":
        with gzip.GzipFile(fileobj=file, mode="rb") as unpacked:
            yield from read_rows(
                _limited(unpacked, name, told, lambda _: file.tell(), 0), name, stem(name), salvage
            )
    elif kind == "zstd":
        with _arrow(name) as pa, pa.CompressedInputStream(pa.PythonFile(file, "r"), "zstd") as unpacked:
            yield from read_rows(
                _limited(unpacked, name, told, lambda _: file.tell(), 0), name, stem(name), salvage
            )
    else:
        yield from read_rows(FileChunks(file, told), name, name, salvage)


def read_rows(
    chunks: Iterable[bytes], label: str, file_name: str, salvage: bool
) -> Iterator[tuple[str, Block]]:
    """Rows of a stream of text. `label`: what it is called in reports; `file_name`: whose ending counts."""
    stream = chunks if isinstance(chunks, Chunks) else Chunks(chunks)
    head = b""
    while len(head) < _TABLE_HEAD and (more := stream.behind(head)) is not None:
        head = more
    stream.put_back(head)
    if looks_like_table(head, file_name):
        blocks = read_table(stream, label)
    else:
        text = file_name.lower().endswith(".txt")
        blocks = read_blocks(stream, label, text=text, salvage=salvage)
    for block in blocks:
        yield label, block


def _captions(rows: Iterator[tuple[str, Block]], picture: str | None) -> Iterator[tuple[str, Block]]:
    """A text file that lies beside a picture of its name: the words for it."""
    for label, block in rows:
        records = [block.record(number) for number in range(len(block))]
        yield label, ValueBlock([_caption(record, picture) for record in records])


def _caption(record: Record, picture: str | None) -> Record:
    if not isinstance(record.value, dict):
        return record
    return record._replace(value={"image": picture, "caption": record.value["text"].strip()})


def _limited(
    unpacked: "IO[bytes] | pa.NativeFile",
    label: str,
    told: Progress,
    packed: Callable[[int], int],
    before: int,
) -> Iterator[bytes]:
    """The unpacked bytes. Raises Problem when they are too many for the packed ones, or hold an archive again."""
    size = 0
    while chunk := unpacked.read(CHUNK):
        if size == 0 and kind_of(chunk, label) != "text":
            raise _refused(
                label,
                "it contains another archive, or a file that isn't text; unpack it once and import that",
            )
        size += len(chunk)
        used = packed(size)
        if size > GRACE_BYTES and size > MAX_RATIO * max(used, 1):
            raise _refused(
                label, f"it decompresses to more than {MAX_RATIO} times its size; import the file unpacked"
            )
        if size > MAX_UNPACKED:
            raise _refused(label, f"it unpacks to more than {MAX_UNPACKED >> 30} GiB; split it")
        told(before + min(used, size))
        yield bytes(chunk)


def _refused(label: str, detail: str) -> Problem:
    return Problem("file_unreadable", where=Where(file=label), path=label, detail=detail)


@contextmanager
def _opened(path: Path) -> Iterator[BinaryIO]:
    try:
        file = path.open("rb")
    except FileNotFoundError as error:
        raise Problem("file_missing", path=str(path), base=str(Path.cwd())) from error
    except OSError as error:
        raise Problem("file_unreadable", path=str(path), detail=error.strerror or str(error)) from error
    with file:
        yield file


@contextmanager
def _readable(name: str) -> Iterator[None]:
    """What the libraries say of a damaged file, as a Problem."""
    try:
        yield
    except EOFError as error:
        raise _refused(name, "it ends before its compressed data does; send the complete file") from error
    except (BadZipFile, zlib.error, NotImplementedError) as error:
        raise _damaged(name, error) from error
    except OSError as error:
        detail = error.strerror or " ".join(str(error).split())[:200]
        raise _refused(name, f"it is damaged or can't be read: {detail}") from error


@contextmanager
def _arrow(name: str) -> Iterator[ModuleType]:
    """Arrow, which is loaded for its own kinds of file only: that takes longer than to check a small file."""
    import pyarrow

    try:
        yield pyarrow
    except pyarrow.ArrowException as error:
        raise _damaged(name, error) from error


def _damaged(name: str, error: Exception) -> Problem:
    return _refused(name, f"it is damaged: {' '.join(str(error).split())[:200]}")
