"""The rows that an earlier run learnt from, by its frozen recipe: what may be mixed in again.

It reads no more than it must: which rows they were follows from the recipe, not from files that run left.
"""

from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import Protocol

from tunery.data.rows import characters, decode_row


class Rows(Protocol):
    """Canonical rows by number."""

    @property
    def characters(self) -> int:
        """All of their content."""
        ...

    def __len__(self) -> int: ...
    def lines(self) -> Iterator[bytes]: ...
    def pick(self, numbers: Sequence[int]) -> Iterator[bytes]: ...


class Picked:
    """Some rows of others, as rows of their own; a row may be there several times."""

    def __init__(self, rows: Rows, numbers: Sequence[int]) -> None:
        self._rows = rows
        self.numbers = numbers
        """Theirs, of each of these."""

    def __len__(self) -> int:
        return len(self.numbers)

    @property
    def characters(self) -> int:
        return self._characters

    @cached_property
    def _characters(self) -> int:
        return sum(characters(decode_row(line)) for line in self.lines())

    def lines(self) -> Iterator[bytes]:
        return self._rows.pick(self.numbers)

    def pick(self, numbers: Sequence[int]) -> Iterator[bytes]:
        return self._rows.pick([self.numbers[number] for number in numbers])
