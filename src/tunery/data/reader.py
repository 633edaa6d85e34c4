"""Bytes of a file -> records, each with the line, row and byte it starts at.

Memory doesn't grow with the file. However the bytes arrive, the records are the same. Every row comes out,
as a value or as the reason why it has none; what makes the rest of a file unreadable is a Problem.
The module doesn't know what the records mean.
"""

from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from pathlib import Path
from typing import NamedTuple

import orjson

from tunery.core.errors import Problem
from tunery.data.record import MAX_RECORD_BYTES, parse, parse_text, too_long
from tunery.data.rows import RowError
from tunery.data.splitter import ArraySplitter, Piece, find_list, split_lines

CHUNK = 1 << 20
CONTAINERS = (".json", ".jsonl", ".txt")
_BOM = b"\xef\xbb\xbf"
_LISTS_IN_ROWS = frozenset({"conversations", "messages", "history", "tools"})
"""A JSON object that holds one of these is a row itself, not a wrapper around a list of rows."""

_MAGIC = {
    b"\xff\xfe\x00\x00": "it is UTF-32; save it as UTF-8",
    b"\x00\x00\xfe\xff": "it is UTF-32; save it as UTF-8",
    b"\xff\xfe": "it is UTF-16; save it as UTF-8",
    b"\xfe\xff": "it is UTF-16; save it as UTF-8",
    b"PK\x03\x04": "it is a ZIP archive; unpack it first",
    b"\x1f\x8b": "it is compressed with gzip; unpack it first",
    b"\x28\xb5\x2f\xfd": "it is compressed with zstd; unpack it first",
    b"PAR1": "it is a Parquet file; export it as JSONL first",
}


class Record(NamedTuple):
    """One row as it stands in the file."""

    row: int
    line: int
    offset: int
    raw: bytes
    value: object
    error: RowError | None


def read_file(
    path: Path, name: str | None = None, *, progress: Callable[[int], None] | None = None
) -> Iterator[Record]:
    """Every record of a file; `name` is what to call it, and its ending says what it holds.

    `progress` is told the bytes read so far. Raises Problem `file_missing`, `file_unreadable`, `json_broken`.
    """
    name = name or path.name
    try:
        file = path.open("rb")
    except FileNotFoundError as error:
        raise Problem("file_missing", path=str(path), base=str(Path.cwd())) from error
    except OSError as error:
        raise Problem("file_unreadable", path=str(path), detail=error.strerror or str(error)) from error

    def chunks() -> Iterator[bytes]:
        seen = 0
        while True:
            try:
                chunk = file.read(CHUNK)
            except OSError as error:
                raise Problem("file_unreadable", path=name, detail=error.strerror or str(error)) from error
            if not chunk:
                return
            seen += len(chunk)
            if progress:
                progress(seen)
            yield chunk

    with file:
        yield from read_chunks(chunks(), name)


def read_chunks(chunks: Iterable[bytes], name: str, *, longest: int = MAX_RECORD_BYTES) -> Iterator[Record]:
    """Every record of a stream of bytes; one of more than `longest` bytes is refused without being held.

    Raises Problem `file_unreadable` or `json_broken`.
    """
    head, stream, offset = _head(iter(chunks), name)
    start = len(head) - len(head.lstrip())
    if name.lower().endswith(".txt"):
        yield from _read_text(head, stream, offset, longest)
    elif head[start : start + 1] not in (b"[", b"{") or _holds_lines(head, name):
        yield from _read_lines(head, stream, offset, longest)
    else:
        found = start if head[start : start + 1] == b"[" else find_list(head, _LISTS_IN_ROWS)
        if found is None:
            yield from _read_object(head, stream, offset, name, longest)
        else:
            yield from _read_list(head, stream, offset, found, name, longest)


def _head(stream: Iterator[bytes], name: str) -> tuple[bytes, Iterator[bytes], int]:
    """The first CHUNK bytes, the rest, and how many bytes of a byte-order mark were left out."""
    gathered = bytearray()
    while len(gathered) < CHUNK and (chunk := next(stream, None)) is not None:
        gathered += chunk
    head, rest = bytes(gathered[:CHUNK]), bytes(gathered[CHUNK:])
    for magic, detail in _MAGIC.items():
        if head.startswith(magic):
            raise Problem("file_unreadable", path=name, detail=detail)
    if len(head) > 1 and b"\0" in head[:2]:
        raise Problem("file_unreadable", path=name, detail="it looks like UTF-16 or UTF-32; save it as UTF-8")
    if rest:
        stream = chain([rest], stream)
    if head.startswith(_BOM):
        return head[len(_BOM) :], stream, len(_BOM)
    return head, stream, 0


def _holds_lines(head: bytes, name: str) -> bool:
    """Whether what starts like JSON is one value a line. Files are named wrongly often enough to look."""
    start = head.lstrip()
    if name.lower().endswith(".jsonl") and start.startswith(b"{"):
        return True
    first, newline, rest = start.partition(b"\n")
    return bool(newline and rest.strip()) and parse(first)[1] is None


def _read_list(
    head: bytes, stream: Iterator[bytes], offset: int, found: int, name: str, longest: int
) -> Iterator[Record]:
    """A JSON array, or an object that holds one list of rows, which opens at `found`."""
    before = head[:found]
    splitter = ArraySplitter(name, offset + found, 1 + before.count(b"\n"), longest)
    row = 0
    for chunk in chain([head[found:]], stream):
        for piece in splitter.feed(chunk):
            row += 1
            yield _record(row, piece, longest)
    splitter.end()
    if not before.strip() and not splitter.tail.strip():
        return
    try:
        around = orjson.loads(before + b"[]" + splitter.tail)
    except orjson.JSONDecodeError:
        splitter.broken_tail("what stands around the list isn't JSON")
    others = [key for key, value in around.items() if isinstance(value, list) and any(map(_is_object, value))]
    if others:
        detail = f"it holds more than one list of rows (also “{others[0]}”); put each in a file of its own"
        raise Problem("file_unreadable", path=name, detail=detail)


def _read_object(
    head: bytes, stream: Iterator[bytes], offset: int, name: str, longest: int
) -> Iterator[Record]:
    """A file that is one row. It is read as a list of one."""
    start = len(head) - len(head.lstrip())
    splitter = ArraySplitter(name, offset + start - 1, 1 + head[:start].count(b"\n"), longest)
    for number, chunk in enumerate(chain([b"[", head[start:]], stream, [b"]"])):
        for piece in splitter.feed(chunk):
            assert number > 0
            yield _record(1, piece, longest)
    splitter.end()
    if splitter.tail.strip():
        splitter.broken_tail("there is more after the object")


def _record(row: int, piece: Piece, longest: int) -> Record:
    if piece.size > longest:
        return Record(row, piece.line, piece.offset, piece.raw, None, too_long(piece.size, longest))
    return Record(row, piece.line, piece.offset, piece.raw, *parse(piece.raw))


def _read_lines(head: bytes, stream: Iterator[bytes], offset: int, longest: int) -> Iterator[Record]:
    """One value a line; empty lines are no rows."""
    row = 0
    for number, (raw, size) in enumerate(split_lines(chain([head], stream), longest), 1):
        if raw and not raw.isspace():
            row += 1
            if size > longest:
                yield Record(row, number, offset, raw, None, too_long(size, longest))
            else:
                yield Record(row, number, offset, raw, *parse(raw))
        offset += size + 1


def _read_text(head: bytes, stream: Iterator[bytes], offset: int, longest: int) -> Iterator[Record]:
    """A plain text file: one record with the field text."""
    gathered = bytearray(head)
    size = len(head)
    for chunk in stream:
        size += len(chunk)
        if size <= longest:
            gathered += chunk
    if size == 0:
        return
    if size > longest:
        yield Record(1, 1, offset, bytes(gathered[:200]), None, too_long(size, longest))
        return
    yield Record(1, 1, offset, bytes(gathered), *parse_text(bytes(gathered)))


def _is_object(value: object) -> bool:
    return isinstance(value, dict)
