"""Finds the rows of a version that fit a query, a stretch at a time, so that a large version can be gone on with.

What the facts of a version answer needs no look at its rows. Words are looked for in the turns, never in what
holds them together: upper and lower case are the same. It knows nothing of pages.
"""

import time
from array import array
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from threading import Lock

import msgspec

from tunery.data.facts import EMPTY, REFUSED, SHORT, Facts
from tunery.data.rows import Captioned, Role, Row, Text, characters, decode_row, messages_of
from tunery.data.store import VersionReader

MOST = 1_000_000
"""So many hits are remembered; a query that finds more should be narrowed."""
_BLOCK = 512
_MARKS = {"empty": EMPTY, "short_answers": SHORT, "refused": REFUSED, "duplicates": 0}


@dataclass(frozen=True)
class Query:
    """What rows must have; all of it."""

    text: str = ""
    """Words in a turn (of `role`, where one is named). Capitals don't matter; `ss` doesn't find `ß`."""
    role: Role | None = None
    """A turn of this role."""
    min_characters: int | None = None
    max_characters: int | None = None
    min_tokens: int | None = None
    max_tokens: int | None = None
    language: str | None = None
    having: str | None = None
    """`duplicates` (repeats an earlier row), `empty` (a turn without words), `short_answers`, or `refused` (by the
    chat template)."""

    @property
    def needs_facts(self) -> bool:
        """Whether it asks what only the statistics know."""
        return self.language is not None or self.having is not None or self.needs_tokens

    @property
    def needs_tokens(self) -> bool:
        """Whether it asks for what a tokenizer says."""
        return self.min_tokens is not None or self.max_tokens is not None or self.having == "refused"

    @property
    def everything(self) -> bool:
        return self == Query()


class Search:
    """`go_on` until nothing is left. Threads may share it."""

    def __init__(self, version: VersionReader, query: Query, facts: Facts | None = None) -> None:
        assert facts is not None or not query.needs_facts
        self.found = array("q")
        """Numbers of the rows that fit, rising, counted from 0."""
        self.searched = 0
        """Rows that were looked at or passed over."""
        self.complete = False
        self._total = len(version)
        self._hits = self._find(version, query, facts)
        self._lock = Lock()

    def go_on(self, seconds: float) -> None:
        """Look further until all rows were looked at, or the time is up."""
        end = time.monotonic() + seconds
        with self._lock:
            while not self.complete and len(self.found) < MOST:
                hits = next(self._hits, None)
                if hits is None:
                    self.searched = self._total
                    self.complete = True
                else:
                    self.found.extend(hits)
                if time.monotonic() > end:
                    return

    def _find(self, version: VersionReader, query: Query, facts: Facts | None) -> Iterator[list[int]]:
        if facts is None or not (query.needs_facts or query.min_characters or query.max_characters):
            yield from self._scan(version, query)
            return
        numbers = facts.where(
            characters=(query.min_characters, query.max_characters),
            tokens=(query.min_tokens, query.max_tokens),
            language=query.language,
            marks=_MARKS[query.having] if query.having else 0,
            repeats=query.having == "duplicates",
        )
        while block := list(islice(numbers, _BLOCK)):
            if query.text or query.role:
                lines = version.pick(block)
                fits = [number for number, line in zip(block, lines, strict=True) if _fits(line, query)]
            else:
                fits = block
            self.searched = block[-1] + 1
            yield fits

    def _scan(self, version: VersionReader, query: Query) -> Iterator[list[int]]:
        may_fit = _quick_test(query.text)
        lines = version.lines()
        while block := list(islice(lines, _BLOCK)):
            fits: list[int] = []
            # Most blocks and most rows hold no hit: that is seen without taking them apart.
            if may_fit(b"\n".join(block)):
                fits = [
                    n for n, line in enumerate(block, self.searched) if may_fit(line) and _fits(line, query)
                ]
            self.searched += len(block)
            yield fits


def _quick_test(text: str) -> Callable[[bytes], bool]:
    """Tells quickly of bytes in canonical form whether they may hold the words."""
    needle = msgspec.json.encode(text)[1:-1]
    if text.lower() == text.upper():
        return lambda raw: needle in raw
    if text.isascii():
        lowered = needle.lower()
        return lambda raw: lowered in raw.lower()
    folded = needle.decode().casefold()
    return lambda raw: folded in raw.decode().casefold()


def _fits(line: bytes, query: Query) -> bool:
    row = decode_row(line)
    if query.min_characters is not None or query.max_characters is not None:
        size = characters(row)
        if size < (query.min_characters or 0) or (
            query.max_characters is not None and size > query.max_characters
        ):
            return False
    needle = query.text.casefold()
    return any(not needle or needle in text.casefold() for text in _texts(row, query.role))


def _texts(row: Row, role: Role | None) -> Iterator[str]:
    if isinstance(row, Text | Captioned):
        if role is None:
            yield row.text if isinstance(row, Text) else row.caption
        return
    for message in messages_of(row):
        if role is None or message.role == role:
            yield message.text
