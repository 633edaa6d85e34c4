"""Accepted rows as one stream of canonical lines, which is hashed in pieces while it grows.

The row that reaches PIECE_BYTES closes a piece. The content's hash is the SHA-256 of the pieces' SHA-256s, so that
equal rows have equal hashes however they came, and a piece that is stored by its own hash needn't be hashed again.
"""

import hashlib
from array import array
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate
from typing import TypeAlias, overload

PIECE_BYTES = 64 << 20
Ends: TypeAlias = "array[int] | memoryview"
"""Unsigned 32-bit numbers."""


class Lines(Sequence[bytes]):
    """Canonical rows end to end. As a sequence it gives them without their line feeds."""

    __slots__ = ("ends", "text")

    def __init__(self, text: bytes, ends: Ends) -> None:
        self.text = text
        self.ends = ends
        """Where each row ends in `text`, its line feed included."""

    @classmethod
    def of(cls, lines: Sequence[bytes]) -> "Lines":
        """Rows that came one by one."""
        return cls(b"\n".join([*lines, b""]), array("I", accumulate(len(line) + 1 for line in lines)))

    def __len__(self) -> int:
        return len(self.ends)

    def __iter__(self) -> Iterator[bytes]:
        return iter(self.text.split(b"\n")[:-1])

    @overload
    def __getitem__(self, index: int) -> bytes: ...
    @overload
    def __getitem__(self, index: slice) -> list[bytes]: ...
    def __getitem__(self, index: int | slice) -> bytes | list[bytes]:
        if isinstance(index, slice):
            return [self[number] for number in range(*index.indices(len(self)))]
        if index < 0:
            index += len(self)
        end = self.ends[index]
        return self.text[self.ends[index - 1] if index else 0 : end - 1]


class Part(Lines):
    """Rows that lie in one piece. `piece`: the SHA-256 of the piece that they close."""

    __slots__ = ("piece",)

    def __init__(self, text: bytes, ends: Ends, piece: str | None = None) -> None:
        super().__init__(text, ends)
        self.piece = piece


class Content:
    """Hashes rows: `add` all, then `finish`; then there is `hash`."""

    def __init__(self) -> None:
        self._pieces = hashlib.sha256()
        self._piece = hashlib.sha256()
        self._size = 0

    def add(self, lines: Lines) -> Iterator[Part]:
        """The same rows, parted where pieces end."""
        begin = taken = 0
        while self._size + len(lines.text) - begin >= PIECE_BYTES:
            last = bisect_left(lines.ends, PIECE_BYTES - self._size + begin)
            end = lines.ends[last]
            text = lines.text[begin:end]
            self._hash(text)
            yield Part(text, array("I", [one - begin for one in lines.ends[taken : last + 1]]), self._close())
            begin, taken = end, last + 1
        if taken < len(lines):
            text, ends = lines.text[begin:], lines.ends
            self._hash(text)
            yield Part(text, array("I", [one - begin for one in ends[taken:]]) if taken else ends)

    def finish(self) -> Iterator[Part]:
        """No rows, closing the piece that is open."""
        if self._size:
            yield Part(b"", array("I"), self._close())

    @property
    def hash(self) -> str:
        """Of all rows."""
        return self._pieces.hexdigest()

    def _hash(self, text: bytes) -> None:
        self._piece.update(text)
        self._size += len(text)

    def _close(self) -> str:
        self._pieces.update(self._piece.digest())
        name = self._piece.hexdigest()
        self._piece = hashlib.sha256()
        self._size = 0
        return name


def content_hash(rows: Iterable[bytes]) -> str:
    """Of rows in canonical form that are held in memory."""
    content = Content()
    for _ in content.add(Lines.of(list(rows))):
        pass
    for _ in content.finish():
        pass
    return content.hash
