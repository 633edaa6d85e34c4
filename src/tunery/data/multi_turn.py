"""Pseudo multi-turn: single-turn rows joined into conversations of several turns, for longer texts to learn from.

A row joins the one before it with a given probability if both have the same system turn and no tools, and what
comes out still fits. Seeded; holds one conversation at a time.
"""

from collections.abc import Callable, Iterable, Iterator
from random import Random

from tunery.data.rows import Conversation, Row, decode_row, encode_row

Length = Callable[[Row], int]
"""Tokens of a row."""


class Joiner:
    """Call it with rows in canonical form; `joined` counts those that became part of another."""

    def __init__(self, probability: float, seed: int, length: Length, limit: int) -> None:
        self._probability = probability
        self._random = Random(f"multi-turn/{seed}")
        self._length = length
        self._limit = limit
        self.joined = 0

    def __call__(self, lines: Iterable[bytes]) -> Iterator[bytes]:
        """The rows, fewer and longer."""
        waiting: Conversation | None = None
        tokens = 0
        for line in lines:
            row = decode_row(line)
            if not _single_turn(row):
                if waiting is not None:
                    yield encode_row(waiting)
                    waiting = None
                yield line
                continue
            assert isinstance(row, Conversation)
            size = self._length(row)
            wanted = self._random.random() < self._probability
            if waiting is not None and wanted and _alike(waiting, row) and tokens + size <= self._limit:
                waiting = _join(waiting, row)
                tokens += size
                self.joined += 1
                continue
            if waiting is not None:
                yield encode_row(waiting)
            waiting, tokens = row, size
        if waiting is not None:
            yield encode_row(waiting)


def _single_turn(row: Row) -> bool:
    if not isinstance(row, Conversation) or row.tools:
        return False
    roles = [message.role for message in row.messages]
    return roles in (["user", "assistant"], ["system", "user", "assistant"])


def _alike(first: Conversation, second: Conversation) -> bool:
    return _system(first) == _system(second)


def _system(row: Conversation) -> str:
    return row.messages[0].text if row.messages[0].role == "system" else ""


def _join(first: Conversation, second: Conversation) -> Conversation:
    turns = tuple(message for message in second.messages if message.role != "system")
    return Conversation(first.messages + turns)
