"""Bytes -> rows, in blocks, each row with the line, row and byte it starts at.

Memory doesn't grow with the file. However the bytes arrive, the rows are the same. Every row comes out,
as a value or as the reason why it has none; what makes the rest of a file unreadable is a Problem.
The module doesn't know what the rows mean, nor what was unpacked to get at the bytes.
"""

from array import array
from collections.abc import Iterable, Iterator
from itertools import chain

import orjson

from tunery.core.errors import Problem
from tunery.data.block import Block, Record, ValueBlock
from tunery.data.chunks import CHUNK, Chunks
from tunery.data.native import Places, split_lines
from tunery.data.record import MAX_RECORD_BYTES, parse, parse_text, too_long
from tunery.data.splitter import BEGINNING, ArraySplitter, find_list

_BOM = b"\xef\xbb\xbf"
_LISTS_IN_ROWS = frozenset({"conversations", "messages", "history", "tools", "prompt", "chosen", "rejected"})
"""A JSON object that holds one of these is a row itself, not a wrapper around a list of rows."""

_UNICODE = {
    b"\xff\xfe\x00\x00": "it is UTF-32; save it as UTF-8",
    b"\x00\x00\xfe\xff": "it is UTF-32; save it as UTF-8",
    b"\xff\xfe": "it is UTF-16; save it as UTF-8",
    b"\xfe\xff": "it is UTF-16; save it as UTF-8",
}


def read_records(chunks: Iterable[bytes], name: str, *, longest: int = MAX_RECORD_BYTES) -> Iterator[Record]:
    """Every row by itself, parsed. Raises Problem `file_unreadable` or `json_broken`."""
    for block in read_blocks(chunks, name, longest=longest):
        for number in range(len(block)):
            yield block.record(number)


def read_blocks(
    chunks: Iterable[bytes],
    name: str,
    *,
    longest: int = MAX_RECORD_BYTES,
    text: bool | None = None,
    salvage: bool = False,
) -> Iterator[Block]:
    """Every row of a stream of bytes; one of more than `longest` bytes is refused without being held.

    `text`: it is one plain text; by its name otherwise. `salvage`: an array that is cut off ends with a bad row.
    Raises Problem `file_unreadable` or `json_broken`.
    """
    stream = chunks if isinstance(chunks, Chunks) else Chunks(chunks)
    head, offset = _head(stream, name)
    start = len(head) - len(head.lstrip())
    if name.lower().endswith(".txt") if text is None else text:
        yield from _read_text(head, stream, offset, longest)
    elif head[start : start + 1] not in (b"[", b"{") or _holds_lines(head, name):
        yield from _read_lines(head, stream, offset, longest)
    else:
        found = start if head[start : start + 1] == b"[" else find_list(head, _LISTS_IN_ROWS)
        if found is None:
            yield from _read_object(head, stream, offset, name, longest)
        else:
            yield from _read_list(head, stream, offset, found, name, longest, salvage)


def _head(stream: Chunks, name: str) -> tuple[bytes, int]:
    """The first CHUNK bytes, and how many bytes of a byte-order mark were left out."""
    gathered = bytearray()
    while len(gathered) < CHUNK and (chunk := next(stream, None)) is not None:
        gathered += chunk
    head, rest = bytes(gathered[:CHUNK]), bytes(gathered[CHUNK:])
    for magic, detail in _UNICODE.items():
        if head.startswith(magic):
            raise Problem("file_unreadable", path=name, detail=detail)
    if len(head) > 1 and b"\0" in head[:2]:
        raise Problem("file_unreadable", path=name, detail="it looks like UTF-16 or UTF-32; save it as UTF-8")
    if rest:
        stream.put_back(rest)
    if head.startswith(_BOM):
        return head[len(_BOM) :], len(_BOM)
    return head, 0


def _holds_lines(head: bytes, name: str) -> bool:
    """Whether what starts like JSON is one value a line. Files are named wrongly often enough to look."""
    start = head.lstrip()
    if name.lower().endswith(".jsonl") and start.startswith(b"{"):
        return True
    first, newline, rest = start.partition(b"\n")
    return bool(newline and rest.strip()) and parse(first)[1] is None


def _read_list(
    head: bytes, stream: Iterator[bytes], offset: int, found: int, name: str, longest: int, salvage: bool
) -> Iterator[Block]:
    """A JSON array, or an object that holds one list of rows, which opens at `found`."""
    before = head[:found]
    splitter = ArraySplitter(name, offset + found, 1 + before.count(b"\n"), longest)
    for chunk in chain([head[found:]], stream):
        yield from splitter.feed(chunk)
    if salvage and (cut := splitter.cut_off()):
        yield ValueBlock([cut])
        return
    splitter.end()
    if not before.strip() and not splitter.tail.strip():
        return
    try:
        around = orjson.loads(before + b"[]" + splitter.tail)
    except orjson.JSONDecodeError:
        splitter.broken_tail("the text around the list isn't JSON")
    others = [key for key, value in around.items() if isinstance(value, list) and any(map(_is_object, value))]
    if others:
        detail = f"it contains more than one list of rows (also “{others[0]}”); put each in a file of its own"
        raise Problem("file_unreadable", path=name, detail=detail)


def _read_object(
    head: bytes, stream: Iterator[bytes], offset: int, name: str, longest: int
) -> Iterator[Block]:
    """A file that is one row. It is read as a list of one."""
    start = len(head) - len(head.lstrip())
    splitter = ArraySplitter(name, offset + start - 1, 1 + head[:start].count(b"\n"), longest)
    for chunk in chain([b"[", head[start:]], stream, [b"]"]):
        yield from splitter.feed(chunk)
    splitter.end()
    if splitter.tail.strip():
        splitter.broken_tail("there is extra content after the object")


def _read_lines(head: bytes, stream: Chunks, offset: int, longest: int) -> Iterator[Block]:
    """One value a line; empty lines are no rows."""
    stream.put_back(head)
    row = line = 1
    left = b""
    more = True
    let_go = 0
    """So many bytes of the line that `left` is of aren't held."""
    while more:
        data = stream.behind(left)
        if data is None:
            data, more = left + b"\n", False
        places, end, lines = split_lines(data)
        if len(data) + let_go > longest:
            blocks = _without_long(row, data, places, line, offset, longest, let_go)
        else:
            blocks = iter([Block(row, data, places, (0, line), offset)] if places else [])
        for block in blocks:
            row += len(block)
            yield block
        if end:
            line += lines
            offset += end + let_go
            let_go = 0
        left = data[end:]
        if len(left) + let_go > longest:
            let_go += len(left) - BEGINNING
            left = left[:BEGINNING]


def _without_long(
    row: int, data: bytes, places: Places, line: int, offset: int, longest: int, let_go: int
) -> Iterator[Block]:
    """The lines of some bytes, those that are too long as bad rows; of the first, `let_go` bytes are gone."""
    for number, (start, end) in enumerate(zip(places[::2], places[1::2], strict=True), row):
        gone = let_go if start else 0
        size = end - start + (0 if start else let_go)
        if size > longest:
            raw = data[start : min(end, start + BEGINNING)]
            found = line + data.count(b"\n", 0, start)
            yield ValueBlock(
                [Record(number, found, offset + gone + start, raw, None, too_long(size, longest))]
            )
        else:
            yield Block(number, data, array("I", (start, end)), (0, line), offset + gone)


def _read_text(head: bytes, stream: Iterator[bytes], offset: int, longest: int) -> Iterator[Block]:
    """A plain text file: one record with the field text."""
    gathered = bytearray(head)
    size = len(head)
    for chunk in stream:
        size += len(chunk)
        if size <= longest:
            gathered += chunk
    if size > longest:
        cut = bytes(gathered[:200])
        yield ValueBlock([Record(1, 1, offset, cut, None, too_long(size, longest))])
    elif size:
        raw = bytes(gathered)
        yield ValueBlock([Record(1, 1, offset, raw, *parse_text(raw))])


def _is_object(value: object) -> bool:
    return isinstance(value, dict)
