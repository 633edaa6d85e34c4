"""Rows that were read together: their bytes at once, the place of one only when it is asked for.

Nearly all rows of a file are right; what only a wrong one needs (line, offset, its parsed value) is found out then.
"""

from array import array
from typing import NamedTuple

from tunery.data.native import Places
from tunery.data.record import parse
from tunery.data.rows import RowError


class Record(NamedTuple):
    """One row as it stands in the file."""

    row: int
    line: int
    offset: int
    raw: bytes
    value: object
    error: RowError | None


class Block:
    """JSON rows, the first of them being row `first` of the file."""

    def __init__(self, first: int, data: bytes, places: Places, line: tuple[int, int], offset: int) -> None:
        self.data = data
        self.places = places
        """Where each row starts and ends in `data`."""
        self._first = first
        self._known = line
        """A place in `data`, and its line; it moves on with what is asked for."""
        self._offset = offset
        """Of the first byte of `data`."""

    def __len__(self) -> int:
        return len(self.places) // 2

    def record(self, number: int) -> Record:
        """Row `number` of this block, parsed."""
        start, end = self.places[2 * number], self.places[2 * number + 1]
        raw = self.data[start:end]
        return Record(self._first + number, self._line_of(start), self._offset + start, raw, *parse(raw))

    def _line_of(self, start: int) -> int:
        at, line = self._known
        line += self.data.count(b"\n", at, start) if at <= start else -self.data.count(b"\n", start, at)
        self._known = (start, line)
        return line


class ValueBlock(Block):
    """Rows that come as records: those that don't stand in their file as JSON, or can't be held whole."""

    def __init__(self, records: list[Record]) -> None:
        super().__init__(records[0].row, b"", array("I"), (0, 0), 0)
        self._records = records

    def __len__(self) -> int:
        return len(self._records)

    def record(self, number: int) -> Record:
        return self._records[number]
