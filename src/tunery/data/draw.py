"""A draw of rows where a format keeps only so many: each row has the same chance, and order stays."""

import random
from collections.abc import Sequence

SEED = 0
"""Recorded with the report, so that a draw can be made again."""


class Draw:
    """Holds at most `most` of the rows that were added."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._random = random.Random(SEED)
        self._kept: list[tuple[int, bytes]] = []
        self.seen = 0

    def add(self, lines: Sequence[bytes]) -> None:
        """Rows in canonical form."""
        for line in lines:
            self.seen += 1
            if len(self._kept) < self._most:
                self._kept.append((self.seen, line))
            elif (place := self._random.randrange(self.seen)) < self._most:
                self._kept[place] = (self.seen, line)

    def rows(self) -> list[bytes]:
        """What was drawn, in the order it came."""
        return [line for _, line in sorted(self._kept)]
