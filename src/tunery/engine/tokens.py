"""Rows become examples once, at the start, and are kept in one nameless file that is mapped into memory.

So memory doesn't grow with the data, every epoch reads at the speed of the page cache, and the number of
steps is known before the first. It knows no torch.
"""

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from tunery.core.errors import Problem
from tunery.data.rows import Row
from tunery.methods.point import Example, Method, Renderer

_SUPERVISED = np.uint32(1 << 31)


class Piece(NamedTuple):
    """One example, as the store gives it."""

    tokens: np.ndarray
    supervised: np.ndarray
    branches: tuple[int, ...]
    label: bool | None


@dataclass(frozen=True)
class TokenStore:
    """Random access to examples. A token and whether it is supervised share 32 bits."""

    _packed: np.ndarray
    _ends: np.ndarray
    _rows: np.ndarray
    _branches: np.ndarray
    """Lengths of all examples' branches, one after the other."""
    _branch_ends: np.ndarray
    _labels: np.ndarray
    """1, 0, or -1 for none."""
    lengths: np.ndarray
    """Tokens of each example."""
    supervised: int
    """Supervised tokens of all examples."""
    cut: int
    """How many were longer than the limit and lost their end."""
    dropped: int
    """How many rows gave nothing to learn from."""
    reference: np.ndarray | None = None
    """Log-likelihood of each branch before training, where it is known."""

    def __len__(self) -> int:
        return len(self.lengths)

    @property
    def tokens(self) -> int:
        return int(self.lengths.sum())

    def row(self, index: int) -> int:
        """Number of the row that example `index` was made from."""
        return int(self._rows[index])

    @property
    def branches(self) -> int:
        """Branches of all examples."""
        return len(self._branches)

    def example(self, index: int) -> Piece:
        """Tokens, which of them are supervised, and the rest of what an example holds."""
        end = int(self._ends[index])
        packed = self._packed[end - int(self.lengths[index]) : end]
        first, last = self._branch_span(index)
        label = int(self._labels[index])
        return Piece(
            packed & ~_SUPERVISED,
            (packed & _SUPERVISED) != 0,
            tuple(self._branches[first:last].tolist()),
            None if label < 0 else bool(label),
        )

    def references(self, indices: Sequence[int]) -> np.ndarray | None:
        """Of the branches of these examples, in order."""
        if self.reference is None:
            return None
        return np.concatenate([self.reference[slice(*self._branch_span(index))] for index in indices])

    def _branch_span(self, index: int) -> tuple[int, int]:
        return int(self._branch_ends[index - 1]) if index else 0, int(self._branch_ends[index])


def tokenize(
    rows: Sequence[Row],
    method: Method,
    renderer: Renderer,
    settings: Any,
    aside: Path,
    tick: Callable[[int, int], None] = lambda done, total: None,
) -> TokenStore:
    """Make every row into examples. `tick(rows done, rows in all)` is called now and then.

    Raises Problem `no_supervised_tokens` where nothing is left to learn.
    """
    lengths: list[int] = []
    origin: list[int] = []
    branches: list[int] = []
    branch_ends: list[int] = []
    labels: list[int] = []
    supervised = cut = dropped = 0
    with tempfile.TemporaryFile(dir=aside) as file:
        for number, row in enumerate(rows):
            kept = 0
            for example in method.examples(row, renderer, settings):
                cut += example.cut
                learnt = sum(example.supervised)
                if not learnt:
                    continue
                file.write(_pack(example).tobytes())
                lengths.append(len(example.tokens))
                origin.append(number)
                branches += example.branches
                branch_ends.append(len(branches))
                labels.append(-1 if example.label is None else int(example.label))
                supervised += learnt
                kept += 1
            dropped += kept == 0
            if number % 512 == 511:
                tick(number + 1, len(rows))
        if not lengths:
            raise Problem(
                "no_supervised_tokens", detail=f"{len(rows)} rows contain no example with an answer"
            )
        file.flush()
        packed = np.memmap(file, dtype=np.uint32, mode="r")
    counts = np.array(lengths, dtype=np.int64)
    return TokenStore(
        packed,
        np.cumsum(counts),
        np.array(origin, dtype=np.int64),
        np.array(branches, dtype=np.int64),
        np.array(branch_ends, dtype=np.int64),
        np.array(labels, dtype=np.int8),
        counts,
        supervised,
        cut,
        dropped,
    )


def _pack(example: Example) -> np.ndarray:
    packed = np.asarray(example.tokens, dtype=np.uint32)
    marks = np.asarray(example.supervised, dtype=bool)
    assert not marks[0], "the first token can't be predicted"
    return np.where(marks, packed | _SUPERVISED, packed)
