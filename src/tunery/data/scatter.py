"""Pairs (hash, row number) sorted into parts by hash, in memory that doesn't grow with their number.

What has the same hash is in the same part, and a part is small enough to be looked through at once. A hash is
64 bits, keyed anew in every process: good for comparing within one computation, never to be kept.
"""

import mmap
import os
import tempfile
from array import array
from collections.abc import Iterator
from types import TracebackType
from typing import IO, Self

HELD = 1 << 19
"""So many pairs are held before they go to a file."""
PARTS = 512


class Scatter:
    """Add pairs, then go through the parts. A context manager: leaving it lets the file go."""

    def __init__(self) -> None:
        self._held = array("q")
        self._file: IO[bytes] | None = None
        self._borders: list[array[int]] = []
        """Where each part starts in the file, and the last one ends; for every time the held pairs went there."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._file is not None:
            self._file.close()

    def add(self, hash: int, number: int) -> None:
        self._held.append(hash)
        self._held.append(number)
        if len(self._held) >= 2 * HELD:
            self._spill()

    def part(self, index: int) -> Iterator[tuple[int, int]]:
        """The pairs of one part in the order in which they were added. Add nothing any more."""
        if self._held:
            self._spill()
        values = array("q")
        for borders in self._borders:
            assert self._file is not None
            self._file.seek(borders[index])
            values.frombytes(self._file.read(borders[index + 1] - borders[index]))
        return zip(values[::2], values[1::2], strict=True)

    def _spill(self) -> None:
        if self._file is None:
            self._file = tempfile.TemporaryFile(prefix="tunery-scatter-")  # noqa: SIM115 - `__exit__` closes it
        parts = [array("q") for _ in range(PARTS)]
        held = self._held
        for place in range(0, len(held), 2):
            parts[held[place] & (PARTS - 1)].extend(held[place : place + 2])
        borders = array("q", [self._file.seek(0, os.SEEK_END)])
        for part in parts:
            part.tofile(self._file)
            borders.append(self._file.tell())
        self._borders.append(borders)
        self._held = array("q")


class Numbers:
    """As many whole numbers as wanted in a file, all 0 at first; memory is what the system lends."""

    def __init__(self, count: int) -> None:
        self._file = tempfile.TemporaryFile(prefix="tunery-numbers-")  # noqa: SIM115 - `__exit__` closes it
        self._file.truncate(max(count, 1) * 8)
        self._map = mmap.mmap(self._file.fileno(), 0)
        self._view = memoryview(self._map).cast("q")
        self._count = count

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, index: int) -> int:
        return self._view[index]

    def __setitem__(self, index: int, value: int) -> None:
        self._view[index] = value

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._view.release()
        self._map.close()
        self._file.close()
