"""How one version differs from another, row by row, in memory that doesn't grow with their number.

Rows with the same content are unchanged, wherever they stand. What is left of both sides is paired where that is
certain: a question that only one row of each side has, with another answer; then an answer that only one row
of each side has, with another question (of a plain text: the same beginning, then the same end). The rest was
added or removed. The outcome is a list of pairs of row numbers that can be read from any place.
"""

import os
from array import array
from collections import defaultdict, deque
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO, get_args

from tunery.data.rows import Captioned, Message, Preference, Row, Text, decode_row, encode_row
from tunery.data.scatter import PARTS, Numbers, Scatter
from tunery.data.store import VersionReader
from tunery.schemas.statistics import ChangeKind, ComparisonCounts

KINDS: tuple[ChangeKind, ...] = get_args(ChangeKind)
"""Their order in the outcome."""
REVISION = 1
_NONE = -1
_PAIR = 16
_TEXT_KEY = 200
"""So many characters of a plain text's beginning or end tell it from others."""
_TICK = 1024

Pair = tuple[int | None, int | None]
"""Row of the old version and row of the new one, from 0; one is missing where a row was added or removed."""


def compare(
    old: VersionReader, new: VersionReader, outcome: Path, tick: Callable[[int], None] = lambda done: None
) -> ComparisonCounts:
    """Write all pairs to `outcome`; returns how many there are of each kind. `tick(rows read)` now and then."""
    with Numbers(len(old)) as to_new, Numbers(len(new)) as to_old:
        _match(_by_content(old, 0, tick), _by_content(new, len(old), tick), to_new, to_old)
        for key in (_question, _answer):
            _pair(_by_key(old, to_new, key), _by_key(new, to_old, key), to_new, to_old)
        with outcome.open("wb") as file:
            counts = {kind: _write(file, _pairs(kind, to_new, to_old)) for kind in KINDS}
            file.flush()
            os.fsync(file.fileno())
    return ComparisonCounts(**counts)


def read_pairs(
    file: BinaryIO, counts: ComparisonCounts, kind: ChangeKind, offset: int, limit: int
) -> list[Pair]:
    """Pairs of one kind out of an outcome, from the one numbered `offset`."""
    first = 0
    for earlier in KINDS[: KINDS.index(kind)]:
        first += getattr(counts, earlier)
    count = min(limit, max(0, getattr(counts, kind) - offset))
    file.seek((first + offset) * _PAIR)
    values = array("q")
    values.frombytes(file.read(count * _PAIR))
    return [
        (None if old == _NONE else old, None if new == _NONE else new)
        for old, new in zip(values[::2], values[1::2], strict=True)
    ]


# In `to_new` and `to_old`: 0 = no partner yet; n = unchanged, partner n - 1; -n = changed, partner n - 1.


def _by_content(version: VersionReader, before: int, tick: Callable[[int], None]) -> Scatter:
    scatter = Scatter()
    for number, line in enumerate(version.lines()):
        if number % _TICK == 0:
            tick(before + number)
        scatter.add(hash(line), number)
    return scatter


def _match(old: Scatter, new: Scatter, to_new: Numbers, to_old: Numbers) -> None:
    """Pair rows of the same content, the first with the first."""
    with old, new:
        for part in range(PARTS):
            waiting: dict[int, deque[int]] = defaultdict(deque)
            for hash, number in old.part(part):
                waiting[hash].append(number)
            for hash, number in new.part(part):
                if waiting.get(hash):
                    partner = waiting[hash].popleft()
                    to_new[partner], to_old[number] = number + 1, partner + 1


def _by_key(version: VersionReader, partners: Numbers, key: Callable[[Row], bytes | None]) -> Scatter:
    scatter = Scatter()
    alone = (number for number in range(len(version)) if not partners[number])
    for number, line in _picked(version, alone):
        value = key(decode_row(line))
        if value is not None:
            scatter.add(hash(value), number)
    return scatter


def _picked(version: VersionReader, numbers: Iterator[int]) -> Iterator[tuple[int, bytes]]:
    block: list[int] = []
    for number in numbers:
        block.append(number)
        if len(block) == _TICK:
            yield from zip(block, version.pick(block), strict=True)
            block = []
    yield from zip(block, version.pick(block), strict=True)


def _pair(old: Scatter, new: Scatter, to_new: Numbers, to_old: Numbers) -> None:
    """Pair rows whose key only one row on each side has."""
    with old, new:
        for part in range(PARTS):
            before, after = _single(old.part(part)), _single(new.part(part))
            for hash, number in before.items():
                partner = after.get(hash, _NONE)
                if number != _NONE and partner != _NONE:
                    to_new[number], to_old[partner] = -(partner + 1), -(number + 1)


def _single(pairs: Iterator[tuple[int, int]]) -> dict[int, int]:
    """The row of each key; `_NONE` where there are several."""
    found: dict[int, int] = {}
    for hash, number in pairs:
        found[hash] = _NONE if hash in found else number
    return found


def _pairs(kind: ChangeKind, to_new: Numbers, to_old: Numbers) -> Iterator[tuple[int, int]]:
    """Pairs of one kind in the order of the new version; removed ones in that of the old."""
    if kind == "removed":
        yield from ((number, _NONE) for number in range(len(to_new)) if to_new[number] == 0)
        return
    for number in range(len(to_old)):
        partner = to_old[number]
        if kind == "added" and partner == 0:
            yield _NONE, number
        elif kind == "unchanged" and partner > 0:
            yield partner - 1, number
        elif kind == "changed" and partner < 0:
            yield -partner - 1, number


def _write(file: BinaryIO, pairs: Iterator[tuple[int, int]]) -> int:
    held = array("q")
    count = 0
    for pair in pairs:
        held.extend(pair)
        count += 1
        if len(held) >= 1 << 16:
            held.tofile(file)
            held = array("q")
    held.tofile(file)
    return count


def _question(row: Row) -> bytes | None:
    if isinstance(row, Captioned):
        return encode_row(row.image)
    if isinstance(row, Text):
        return row.text[:_TEXT_KEY].encode()
    return _turns(row.messages if isinstance(row, Preference) else row.messages[:-1])


def _answer(row: Row) -> bytes | None:
    if isinstance(row, Captioned):
        return row.caption.encode()
    if isinstance(row, Text):
        return row.text[-_TEXT_KEY:].encode()
    return _turns(row.answers if isinstance(row, Preference) else row.messages[-1:])


def _turns(messages: tuple[Message, ...]) -> bytes | None:
    """The turns in canonical form; None where they have no words to tell them by."""
    if not any(message.text.strip() for message in messages):
        return None
    return encode_row(messages)
