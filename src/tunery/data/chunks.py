"""Bytes that come piece by piece. What was looked at can be put back; what a reader left of one piece stands before the
next without being copied along with it."""

import os
import stat
from collections.abc import Callable, Iterable, Iterator
from typing import BinaryIO

from tunery.data.native import read_behind

CHUNK = 1 << 20
"""So much is read at once: as little as threads can hand to each other without losing time, so that it stays in the
processor's cache."""


class Chunks(Iterator[bytes]):
    """Any pieces."""

    def __init__(self, pieces: Iterable[bytes]) -> None:
        self._pieces = iter(pieces)
        self._ahead: list[bytes] = []

    def __next__(self) -> bytes:
        piece = self.behind(b"")
        if piece is None:
            raise StopIteration
        return piece

    def put_back(self, piece: bytes) -> None:
        """Give it once more, before what comes."""
        self._ahead.append(piece)

    def behind(self, left: bytes) -> bytes | None:
        """`left`, and the next piece behind it; None where there is none."""
        return left + self._ahead.pop() if self._ahead else self._more(left)

    def _more(self, left: bytes) -> bytes | None:
        piece = next(self._pieces, None)
        return None if piece is None else left + piece


class FileChunks(Chunks):
    """A file from its beginning. `told` gets the bytes read so far."""

    def __init__(self, file: BinaryIO, told: Callable[[int], None]) -> None:
        super().__init__(iter(lambda: file.read(CHUNK), b""))
        self._file = file.fileno()
        self._told = told
        self._seen = 0
        self._seekable = stat.S_ISREG(os.fstat(self._file).st_mode)

    def _more(self, left: bytes) -> bytes | None:
        data = read_behind(left, self._file, self._seen, CHUNK) if self._seekable else super()._more(left)
        if data is None or len(data) == len(left):
            return None
        self._seen += len(data) - len(left)
        self._told(self._seen)
        return data
