"""Quick looks at rows that are too many to be read in a request: their tokens, test rows that leak.

What was looked at is told with what was found.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from tunery.data.leaks import LeakCheck, Role
from tunery.data.multi_turn import Length
from tunery.data.questions import text_of
from tunery.data.rows import characters, decode_row
from tunery.data.select import LONGEST_VALIDATION
from tunery.schemas.recipe import LeakReport

SAMPLED = 48
"""Rows whose tokens are counted."""
LOOKED_AT = 3000
"""Training rows that are held against the test rows."""
_USUAL = 4.0
_BEYOND_LATIN = "\u0370"
"""The first sign of Greek; Latin letters with and without accents come before."""
_LONGEST = 20_000
"""Characters: a longer row tells no more and takes long to count."""


class Rows(Protocol):
    """Canonical rows by number."""

    def __len__(self) -> int: ...
    def pick(self, numbers: Sequence[int]) -> Iterator[bytes]: ...


@dataclass(frozen=True)
class TestRows:
    """Rows that a run is measured on: the first `most` of them."""

    __test__ = False  # not a class of tests

    role: Role
    label: str
    rows: Rows
    most: int


@dataclass(frozen=True)
class Sampled:
    """What rows spread over the whole say of their tokens."""

    per_token: float
    """Characters of a token."""
    lengths: tuple[int, ...]
    """Tokens of each row."""
    foreign: float
    """Share of the characters that stand in no Latin script: Chinese, Cyrillic, Arabic …"""


def sample_tokens(rows: Rows, length: Length) -> Sampled:
    """Count the tokens of rows spread over the whole."""
    count = min(len(rows), SAMPLED)
    found = [decode_row(line) for line in rows.pick([at * len(rows) // count for at in range(count)])]
    short = [row for row in found if characters(row) <= _LONGEST]
    lengths = tuple(map(length, short))
    size, tokens = sum(map(characters, short)), sum(lengths)
    foreign = sum(sign >= _BEYOND_LATIN for row in short for sign in text_of(row))
    return Sampled(size / tokens if size and tokens else _USUAL, lengths, foreign / max(1, size))


def look_for_leaks(train: Mapping[str, Rows], tests: Sequence[TestRows]) -> LeakReport | None:
    """Hold the first training rows of each dataset, by label, against the first test rows."""
    if not tests:
        return None
    check = LeakCheck()
    for one in tests:
        count = min(len(one.rows), one.most)
        looked_at = min(count, LONGEST_VALIDATION)
        check.test(one.role, one.label, enumerate(one.rows.pick(range(looked_at))))
        if count > looked_at:
            check.stop()
    each = LOOKED_AT // len(train)
    for label, rows in train.items():
        for number, line in enumerate(rows.pick(range(min(len(rows), each)))):
            check.train(label, number, decode_row(line))
        if len(rows) > each:
            check.stop()
    return check.report()
