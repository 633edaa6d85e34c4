"""Takes a JSON array apart into its elements while the bytes arrive. It finds where elements end; it reads none.

An element that is wrong inside its brackets still comes out whole, so one bad row costs one row. Where the
brackets themselves don't fit, nothing after that place can be trusted: Problem `json_broken`.
"""

import re
from array import array
from collections.abc import Iterable, Iterator
from typing import NoReturn

from tunery.core.errors import Problem, Where
from tunery.data.block import Block, Record, ValueBlock
from tunery.data.native import split_elements
from tunery.data.record import too_long
from tunery.data.rows import RowError

LONGEST_TAIL = 1 << 20
BEGINNING = 200
"""So many bytes are held of what is too long."""

_STRING_REST = re.compile(rb'[^"\\]*(?:\\.[^"\\]*)*', re.DOTALL)
_STRUCTURE = re.compile(rb'["{}\[\]]')
_SCALAR_END = re.compile(rb"[,\]}\s]")
_NOT_SPACE = re.compile(rb"[^ \t\r\n]")
_TOKEN = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"|[{}\[\]]', re.DOTALL)
_OPENS_OBJECTS = re.compile(rb"\[\s*\{")
_PARTNER = {0x7D: 0x7B, 0x5D: 0x5B}  # } {   ] [
_QUOTE, _COMMA, _OPEN, _BRACE, _CLOSE = 0x22, 0x2C, 0x5B, 0x7B, 0x5D


def split_lines(chunks: Iterable[bytes], longest: int) -> Iterator[tuple[list[bytes], dict[int, int]]]:
    """Lines without their line feeds, many at a time. Of one longer than `longest` only the beginning is held;
    its true size stands in the dict, by its number in the list."""
    left = b""
    let_go = 0
    for chunk in chunks:
        lines = chunk.split(b"\n")
        lines[0] = left + lines[0]
        left = lines.pop()
        if lines:
            yield lines, _cut_long(lines, longest, let_go)
            let_go = 0
        if len(left) > longest:
            let_go += len(left) - BEGINNING
            left = left[:BEGINNING]
    if left:
        yield (last := [left]), _cut_long(last, longest, let_go)


def _cut_long(lines: list[bytes], longest: int, let_go: int) -> dict[int, int]:
    """Cut the lines that are too long, `let_go` bytes of the first among them; gives their sizes."""
    cut: dict[int, int] = {}
    if let_go or max(map(len, lines)) > longest:
        for number, line in enumerate(lines):
            size = len(line) + (let_go if number == 0 else 0)
            if size > longest:
                cut[number] = size
                lines[number] = line[:BEGINNING]
    return cut


def find_list(head: bytes, rows_own: frozenset[str]) -> int | None:
    """Where, in the beginning of a JSON object, its list of objects opens; lists named in `rows_own` aren't it."""
    depth = 0
    key = b""
    for token in _TOKEN.finditer(head):
        first = head[token.start()]
        if first == _QUOTE:
            key = token[0] if depth == 1 else key
        elif first in (_OPEN, _BRACE):
            if depth == 1 and _OPENS_OBJECTS.match(head, token.start()):
                name = key[1:-1].decode("utf-8", errors="replace")
                return None if name in rows_own else token.start()
            depth += 1
        else:
            depth -= 1
    return None


class ArraySplitter:
    """Feed it bytes from the opening bracket on."""

    def __init__(self, name: str, offset: int, line: int, longest: int) -> None:
        self._name = name
        self._longest = longest
        self._buffer = b""
        self._base = offset
        """Offset in the file of the buffer's first byte."""
        self._line = line
        self._line_at = 0
        """The place in the buffer that `_line` is the line of."""
        self._at = 0
        self._start: int | None = None
        """Where the element being read starts; None between elements. Negative once its beginning was let go."""
        self._row_line = line
        self._beginning = b""
        self._stack = bytearray()
        self._in_string = False
        self._expects = "open"
        self._rows = 0
        self._places = array("I")
        """Where the elements start and end in the buffer that weren't given yet."""
        self._first = 1
        """The number of the first of them."""
        self._first_line = (0, line)
        """A place before them in the buffer, and its line."""
        self.tail = b""
        """What follows the closing bracket."""

    def feed(self, chunk: bytes) -> Iterator[Block]:
        """The elements that these bytes complete."""
        self._buffer += chunk
        self._first, self._first_line = self._rows + 1, (self._line_at, self._line)
        while self._expects != "end":
            if self._start is not None and self._at == self._start:
                self._skip_plain()
            try:
                step = self._element() if self._start is not None else self._between()
            except Problem:
                yield from self._found()
                raise
            if step is None:
                break
            if isinstance(step, Record):
                yield from self._found()
                yield ValueBlock([step])
                self._first = self._rows + 1
        yield from self._found()
        if self._expects == "end":
            self.tail += self._buffer[self._at :]
            self._base += len(self._buffer)
            self._buffer, self._at, self._line_at = b"", 0, 0
            if len(self.tail) > LONGEST_TAIL:
                self._broken("there is too much content after the list")
        else:
            self._let_go()

    def _found(self) -> Iterator[Block]:
        """The elements whose places are known, as a block."""
        if self._places:
            yield Block(self._first, self._buffer, self._places, self._first_line, self._base)
            self._places = array("I")

    def _skip_plain(self) -> None:
        """Go on behind the elements from here that can be told apart at once."""
        places, at = split_elements(self._buffer, self._at, self._longest)
        if places:
            self._places.extend(places)
            self._rows += len(places) // 2
            self._line += self._buffer.count(b"\n", self._line_at, at)
            self._line_at = self._start = self._at = at
            self._row_line = self._line

    def cut_off(self) -> Record | None:
        """Where the bytes ended inside the array: what stands there of a row, as a bad row."""
        if self._expects == "end":
            return None
        raw = self._beginning
        if self._start is None:
            line, offset = (
                self._line + self._buffer.count(b"\n", self._line_at),
                self._base + len(self._buffer),
            )
        else:
            line, offset = self._row_line, self._base + self._start
            raw = raw or self._buffer[self._start :]
        fix = "Send the complete file: it ends here, before its list is closed."
        return Record(self._rows + 1, line, offset, raw, None, RowError("cut_off", fix))

    def end(self) -> None:
        """No more bytes come. Raises Problem when the array isn't closed."""
        if self._expects != "end":
            self._at = len(self._buffer)
            self._broken("the file ends before the list is closed")

    def broken_tail(self, detail: str) -> NoReturn:
        """Refuse what follows the closing bracket."""
        self._broken(detail)

    def _between(self) -> bool | None:
        """Read up to the start of an element; None when more bytes are needed."""
        found = _NOT_SPACE.search(self._buffer, self._at)
        if found is None:
            self._at = len(self._buffer)
            return None
        self._at = found.start()
        byte = self._buffer[self._at]
        if self._expects == "open" or (self._expects == "comma" and byte == _COMMA):
            self._expects = "first" if self._expects == "open" else "value"
            self._at += 1
        elif byte == _CLOSE and self._expects in ("first", "comma"):
            self._expects = "end"
            self._at += 1
        elif self._expects == "comma":
            self._broken("a comma is missing between two rows")
        elif byte in (_COMMA, _CLOSE, 0x7D, 0x3A):
            self._broken(f"a row was expected, not “{chr(byte)}”")
        else:
            self._line += self._buffer.count(b"\n", self._line_at, self._at)
            self._line_at = self._start = self._at
            self._row_line = self._line
        return True

    def _element(self) -> Record | bool | None:
        """Read on to the end of the element; None when more bytes are needed, the element when it is too long."""
        assert self._start is not None
        buffer = self._buffer
        while True:
            if self._in_string:
                found = _STRING_REST.match(buffer, self._at)
                assert found is not None
                self._at = found.end()
                if self._at == len(buffer) or buffer[self._at] != _QUOTE:
                    return None
                self._in_string = False
                self._at += 1
                if not self._stack:
                    return self._finish()
                continue
            if not self._stack and self._at > self._start:
                found = _SCALAR_END.search(buffer, self._at)
                self._at = found.start() if found else len(buffer)
                return self._finish() if found else None
            found = (
                _STRUCTURE.search(buffer, self._at) if self._stack else _NOT_SPACE.search(buffer, self._at)
            )
            if found is None:
                self._at = len(buffer)
                return None
            self._at = found.start()
            byte = buffer[self._at]
            if byte == _QUOTE:
                self._in_string = True
            elif byte in (_BRACE, _OPEN):
                self._stack.append(byte)
            elif self._stack:
                if self._stack.pop() != _PARTNER[byte]:
                    self._broken(f"“{chr(byte)}” has no matching opening bracket")
                if not self._stack:
                    self._at += 1
                    return self._finish()
            self._at += 1

    def _finish(self) -> Record | bool:
        """The element ends here; gives it where it is too long to be held."""
        assert self._start is not None
        start, size = self._start, self._at - self._start
        self._start = None
        self._expects = "comma"
        self._rows += 1
        if size <= self._longest:
            self._places.extend((start, self._at))
            return True
        raw = self._beginning or self._buffer[start : start + BEGINNING]
        self._beginning = b""
        return Record(
            self._rows, self._row_line, self._base + start, raw, None, too_long(size, self._longest)
        )

    def _let_go(self) -> None:
        """Forget bytes that aren't needed any more, an element that is too long among them."""
        keep = self._at
        if self._start is not None:
            if self._start >= 0 and len(self._buffer) - self._start > self._longest:
                self._beginning = self._buffer[self._start : self._start + BEGINNING]
            elif self._start >= 0:
                keep = self._start
        if keep == 0:
            return
        self._line += self._buffer.count(b"\n", self._line_at, keep)
        self._line_at = keep
        self._buffer = self._buffer[keep:]
        self._base += keep
        self._at -= keep
        self._line_at -= keep
        if self._start is not None:
            self._start -= keep

    def _broken(self, detail: str) -> NoReturn:
        line = self._line + self._buffer.count(b"\n", self._line_at, self._at)
        offset = self._base + self._at
        raise Problem(
            "json_broken",
            where=Where(file=self._name, line=line, offset=offset),
            path=self._name,
            line=line,
            offset=offset,
            detail=detail,
            rows=self._rows,
        )
