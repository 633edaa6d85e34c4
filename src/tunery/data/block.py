"""Rows that were read together: their bytes at once, the place of one only when it is asked for.

Nearly all rows of a file are right; what only a wrong one needs (line, offset, its parsed value) is found out then.
"""

from collections.abc import Iterable, Sequence
from functools import cached_property
from itertools import accumulate
from typing import NamedTuple

from tunery.data.record import parse, too_long
from tunery.data.rows import RowError


class Record(NamedTuple):
    """One row as it stands in the file."""

    row: int
    line: int
    offset: int
    raw: bytes
    value: object
    error: RowError | None


class Place(NamedTuple):
    """Where a row starts, and how long it is."""

    line: int
    offset: int
    size: int


class Block:
    """JSON rows, the first of them being row `first` of the file. `raws` is cut where a row isn't held whole."""

    def __init__(self, first: int, raws: list[bytes], longest: int, cut: Iterable[int] = ()) -> None:
        self.first = first
        self.raws = raws
        self.cut = cut
        """Numbers of the rows that aren't held whole."""
        self._longest = longest

    def __len__(self) -> int:
        return len(self.raws)

    def place(self, number: int) -> Place:
        """Of row `number` in this block."""
        raise NotImplementedError

    def record(self, number: int) -> Record:
        """Row `number` of this block, parsed."""
        line, offset, size = self.place(number)
        raw = self.raws[number]
        if size > self._longest:
            return Record(self.first + number, line, offset, raw, None, too_long(size, self._longest))
        return Record(self.first + number, line, offset, raw, *parse(raw))


class LineBlock(Block):
    """Lines, one value each; empty ones are no rows."""

    def __init__(
        self, first: int, line: int, offset: int, lines: list[bytes], cut: dict[int, int], longest: int
    ) -> None:
        empty = [number for number, text in enumerate(lines) if not text or text.isspace()]
        left_out = set(empty)
        self._numbers = [n for n in range(len(lines)) if n not in left_out] if empty else range(len(lines))
        super().__init__(first, [lines[n] for n in self._numbers] if empty else lines, longest)
        if cut:
            self.cut = [number for number, at in enumerate(self._numbers) if at in cut]
        self._line = line
        self._offset = offset
        self._lines = lines
        self._cut = cut
        """True sizes of lines that are held in part."""

    def place(self, number: int) -> Place:
        at = self._numbers[number]
        return Place(self._line + at, self._offset + self._ends[at] - self._sizes[at] - 1, self._sizes[at])

    @cached_property
    def _sizes(self) -> list[int]:
        return [self._cut.get(number, len(text)) for number, text in enumerate(self._lines)]

    @cached_property
    def _ends(self) -> list[int]:
        return list(accumulate(size + 1 for size in self._sizes))


class PieceBlock(Block):
    """Elements of an array, taken apart with care."""

    def __init__(self, first: int, raws: list[bytes], places: list[Place], longest: int) -> None:
        super().__init__(first, raws, longest, [n for n, place in enumerate(places) if place.size > longest])
        self._places = places

    def place(self, number: int) -> Place:
        return self._places[number]


class GuessedBlock(Block):
    """Elements of an array, cut where they usually end.

    A piece that is one JSON value, and that a comma follows, is what a careful reader would have found too. Whoever
    takes these rows must tell by `stop` the first that is none.
    """

    def __init__(
        self,
        first: int,
        buffer: bytes,
        spans: Sequence[tuple[int, int]],
        line: int,
        offset: int,
        longest: int,
    ) -> None:
        super().__init__(first, [buffer[start:end] for start, end in spans], longest)
        self._buffer = buffer
        self._spans = spans
        self._known = (spans[0][0], line)
        """A place in the buffer, and its line; it moves on with what is asked for."""
        self._offset = offset
        """Of the buffer's first byte."""

    def place(self, number: int) -> Place:
        start, end = self._spans[number]
        at, line = self._known
        line += self._buffer.count(b"\n", at, start) if at <= start else -self._buffer.count(b"\n", start, at)
        self._known = (start, line)
        return Place(line, self._offset + start, end - start)

    def stop(self, number: int) -> None:
        """Row `number` isn't one JSON value: it and those behind it must be taken apart anew."""
        del self.raws[number:]


class ValueBlock(Block):
    """Rows that don't stand in their file as JSON; they come as records."""

    def __init__(self, records: list[Record]) -> None:
        super().__init__(records[0].row, [], 0)
        self._records = records

    def __len__(self) -> int:
        return len(self._records)

    def record(self, number: int) -> Record:
        return self._records[number]
