"""Counts rows that repeat an earlier one, in memory that doesn't grow with their number.

A row is told by 64 bits of its keyed hash: among ten million different rows, the chance that two are taken for
one is about three in a million. Beyond a number of rows the hashes wait in a temporary file, sorted into parts.
"""

import tempfile
from typing import IO

from tunery.data.native import count_repeats, part_hashes

HELD = 1 << 19
"""So many hashes are held before they go to the file."""
_HASH_BYTES = 8
_PARTS = 1024


class Repeats:
    """Add rows, then `count`, then `close`."""

    def __init__(self) -> None:
        self._held = bytearray()
        self._file: IO[bytes] | None = None
        self._extents: list[list[tuple[int, int]]] = [[] for _ in range(_PARTS)]

    def close(self) -> None:
        """Let the file go."""
        if self._file is not None:
            self._file.close()

    def add(self, hashes: bytes) -> None:
        """Note rows by their hashes, 64 bits each."""
        self._held += hashes
        if len(self._held) >= HELD * _HASH_BYTES:
            self._spill()

    def count(self) -> int:
        """How many of the rows repeat an earlier one."""
        if self._file is None:
            return count_repeats(self._held)
        self._spill()
        return sum(count_repeats(self._part(number)) for number in range(_PARTS))

    def _spill(self) -> None:
        if self._file is None:
            self._file = tempfile.TemporaryFile(prefix="tunery-repeats-")  # noqa: SIM115 - `close` closes it
        parted, counts = part_hashes(self._held, _PARTS)
        begin = self._file.tell()
        for extents, count in zip(self._extents, counts, strict=True):
            if count:
                extents.append((begin, count * _HASH_BYTES))
            begin += count * _HASH_BYTES
        self._file.write(parted)
        self._held = bytearray()

    def _part(self, number: int) -> bytearray:
        assert self._file is not None
        values = bytearray()
        for offset, size in self._extents[number]:
            self._file.seek(offset)
            values += self._file.read(size)
        return values
