"""Counts rows that repeat an earlier one, in memory that doesn't grow with their number.

A row is told by 64 bits of its keyed hash: among ten million different rows, the chance that two are taken for
one is about three in a million. Beyond a number of rows the hashes wait in a temporary file, sorted into parts.
"""

import tempfile
from array import array
from typing import IO

HELD = 1 << 19
"""So many hashes are held before they go to the file."""
_PARTS = 1024


class Repeats:
    """Add rows, then `count`, then `close`."""

    def __init__(self) -> None:
        self._held = array("q")
        self._file: IO[bytes] | None = None
        self._extents: list[list[tuple[int, int]]] = [[] for _ in range(_PARTS)]

    def close(self) -> None:
        """Let the file go."""
        if self._file is not None:
            self._file.close()

    def add(self, hashes: bytes) -> None:
        """Note rows by their hashes, 64 bits each."""
        self._held.frombytes(hashes)
        if len(self._held) >= HELD:
            self._spill()

    def count(self) -> int:
        """How many of the rows repeat an earlier one."""
        if self._file is None:
            return len(self._held) - len(set(self._held))
        self._spill()
        return sum(len(part) - len(set(part)) for part in map(self._part, range(_PARTS)))

    def _spill(self) -> None:
        if self._file is None:
            self._file = tempfile.TemporaryFile(prefix="tunery-repeats-")  # noqa: SIM115 - `close` closes it
        parts = [array("q") for _ in range(_PARTS)]
        for value in self._held:
            parts[value & (_PARTS - 1)].append(value)
        for number, part in enumerate(parts):
            if part:
                self._extents[number].append((self._file.tell(), len(part) * part.itemsize))
                part.tofile(self._file)
        self._held = array("q")

    def _part(self, number: int) -> "array[int]":
        assert self._file is not None
        values = array("q")
        for offset, size in self._extents[number]:
            self._file.seek(offset)
            values.frombytes(self._file.read(size))
        return values
