"""Rows as a training sees them: exactly the method's examples, put back into words.

What a limit cuts off is found by asking the method a second time without one. It doesn't know where rows come
from, nor any method by name.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from tunery.core.errors import Problem
from tunery.data.example import Example
from tunery.data.render import ChatRenderer
from tunery.data.rows import Row, Text
from tunery.schemas.statistics import Piece, SeenRow, SeenSequence

MOST_TOKENS = 4096
"""So many tokens of a sequence are shown at most."""

Examples = Callable[[Row, int], Iterator[Example]]
"""A method's examples of a row, cut at so many tokens."""
UNCUT = 1 << 40


class _Sequence(NamedTuple):
    tokens: Sequence[int]
    learnt: Sequence[bool]


def see(number: int, row: Row, examples: Examples, renderer: ChatRenderer, limit: int) -> SeenRow:
    """Row `number` (from 1) as a training with a limit of so many tokens sees it."""
    try:
        trained = _unfolded(examples(row, limit))
        whole = _unfolded(examples(row, UNCUT))
    except Problem as problem:
        if problem.code != "chat_template_failed":
            raise
        return SeenRow(number=number, sequences=[], problem=problem.as_dict())
    if not trained:
        trained = [_Sequence([], []) for _ in whole]
    if len(trained) != len(whole):
        # A text in several parts: each is trained on, nothing is lost.
        whole = trained
    labels = _labels(row, len(whole))
    return SeenRow(
        number=number,
        sequences=[
            _sequence(renderer, label, seen, full, limit)
            for label, seen, full in zip(labels, trained, whole, strict=True)
        ],
    )


def _sequence(
    renderer: ChatRenderer, label: str | None, seen: _Sequence, full: _Sequence, limit: int
) -> SeenSequence:
    left_out = not any(seen.learnt)
    end = min(limit, len(full.tokens)) if left_out else len(seen.tokens)
    if list(full.tokens[:end]) != list(seen.tokens) and not left_out:
        # The method doesn't cut at the end: then only what it kept can be shown.
        full, end = seen, len(seen.tokens)
    shown = min(len(full.tokens), MOST_TOKENS)
    return SeenSequence(
        label=label,
        tokens=0 if left_out else end,
        learnt=sum(seen.learnt),
        cut=len(full.tokens) - end,
        left_out=left_out,
        pieces=list(_pieces(renderer, full, end, shown)),
        complete=shown == len(full.tokens),
    )


def _pieces(renderer: ChatRenderer, full: _Sequence, end: int, shown: int) -> Iterator[Piece]:
    """Stretches of tokens alike. A stretch is decoded with what stands before it: words may begin there."""

    def kind(at: int) -> tuple[bool, bool, bool]:
        return renderer.is_special(full.tokens[at]), full.learnt[at], at >= end

    start, before = 0, ""
    for at in range(1, shown + 1):
        if at < shown and kind(at) == kind(start):
            continue
        text = renderer.spell(full.tokens[:at])
        own = text[len(before) :] if text.startswith(before) else renderer.spell(full.tokens[start:at])
        special, learnt, cut = kind(start)
        yield Piece(text=own, tokens=at - start, special=special, learnt=learnt, cut=cut)
        start, before = at, text


def _unfolded(examples: Iterator[Example]) -> list[_Sequence]:
    """Examples as plain sequences: one that branches becomes as many as it has branches."""
    found: list[_Sequence] = []
    for example in examples:
        shared = len(example.tokens) - sum(example.branches)
        start = shared
        for length in example.branches:
            own = slice(start, start + length)
            tokens = [*example.tokens[:shared], *example.tokens[own]]
            found.append(_Sequence(tokens, [*example.supervised[:shared], *example.supervised[own]]))
            start += length
        if not example.branches:
            found.append(_Sequence(example.tokens, example.supervised))
    return found


def _labels(row: Row, count: int) -> list[str | None]:
    if count == 1:
        return [None]
    if isinstance(row, Text):
        return [f"part {number}" for number in range(1, count + 1)]
    return ["chosen", *(f"answer {number}" for number in range(2, count)), "rejected"]
