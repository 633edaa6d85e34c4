"""Rows become examples, all at once or each when it is first asked for, and lie in one file.

Examples are read from the file where they are needed, not mapped: what is mapped counts as this process's memory, page
by page, until it holds the whole data. So memory hardly grows with the data, and every epoch but the first reads at
the speed of the page cache. It knows no torch.
"""

import os
import tempfile
from array import array
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from tunery.core.errors import Problem
from tunery.data.rows import Row
from tunery.methods.point import Example, Method, Renderer

_SUPERVISED = np.uint32(1 << 31)
_TOKEN_BYTES = 4
_UNKNOWN = -1
_NOTHING = -2
_TICK_ROWS = 512
COLUMNS = {"starts": "q", "lengths": "q", "rows": "q", "branches": "q", "branch_ends": "q", "labels": "b"}
"""What is known of each example beside its tokens, and in which numbers; `branches`: of all, one after the other."""


class Piece(NamedTuple):
    """One example, as the store gives it."""

    tokens: np.ndarray
    supervised: np.ndarray
    branches: tuple[int, ...]
    label: bool | None


class Counts(NamedTuple):
    """What all rows came to."""

    tokens: int
    supervised: int
    cut: int
    """Examples that were longer than the limit and lost their end."""
    dropped: int
    """Rows that gave nothing to learn from."""


class TokenStore:
    """Random access to examples. A token and whether it is supervised share 32 bits.

    Examples are numbered as their rows were added. Closed when nobody holds it any more.
    """

    def __init__(self, handle: int, rows: int, make: Callable[[int], Iterable[Example]]) -> None:
        """`handle`: an empty file, open for reading and writing; `make`: what a row becomes."""
        self._handle = handle
        self._make = make
        self._columns = {name: array(kind) for name, kind in COLUMNS.items()}
        self._at = 0
        self._left = rows
        self._example_of = np.full(rows, _UNKNOWN, dtype=np.int64)
        """The first example of each row."""
        self._lengths: np.ndarray | None = None
        self.counts = Counts(0, 0, 0, 0)
        self.reference: np.ndarray | None = None
        """Log-likelihood of each branch before training, where it is known."""

    @classmethod
    def stored(
        cls, handle: int, rows: int, columns: Mapping[str, np.ndarray], counts: Sequence[int]
    ) -> "TokenStore":
        """A store that has all its rows already."""
        store = cls(handle, rows, lambda row: ())
        for name, kind in COLUMNS.items():
            store._columns[name] = array(kind, columns[name].tobytes())
        store._left = 0
        store._example_of[:] = _NOTHING
        # Where a row has several, the first is written last.
        store._example_of[columns["rows"][::-1]] = np.arange(len(columns["rows"]))[::-1]
        store.counts = Counts(*counts)
        return store

    def __del__(self) -> None:
        os.close(self._handle)

    def __len__(self) -> int:
        return len(self._columns["lengths"])

    @property
    def rows(self) -> int:
        """Rows in all, added or not."""
        return len(self._example_of)

    @property
    def complete(self) -> bool:
        """Whether every row was added."""
        return self._left == 0

    @property
    def lengths(self) -> np.ndarray:
        """Tokens of each example, once all are there."""
        assert self.complete
        if self._lengths is None:
            self._lengths = np.array(self._columns["lengths"], dtype=np.int64)
        return self._lengths

    @property
    def branches(self) -> int:
        """Branches of all examples."""
        return len(self._columns["branches"])

    def row(self, index: int) -> int:
        """Number of the row that example `index` was made from."""
        return self._columns["rows"][index]

    def need(self, rows: Iterable[int]) -> list[int]:
        """Each row's first example, made now where it wasn't yet; rows that give none are left out."""
        found: list[int] = []
        for row in rows:
            if self._example_of[row] == _UNKNOWN:
                self._add(row)
            if self._example_of[row] != _NOTHING:
                found.append(int(self._example_of[row]))
        return found

    def fill(self, tick: Callable[[int, int], None] = lambda done, total: None) -> None:
        """Add every row that isn't there yet. `tick(rows done, rows in all)` is called now and then."""
        total = len(self._example_of)
        for row in range(total):
            if self._example_of[row] == _UNKNOWN:
                self._add(row)
                if row % _TICK_ROWS == _TICK_ROWS - 1:
                    tick(row + 1, total)

    def refuse_nothing(self) -> None:
        """Raise Problem `no_supervised_tokens` where all rows are there and nothing is left to learn."""
        if self.complete and not len(self):
            detail = f"{len(self._example_of)} rows gave no example with an answer"
            raise Problem("no_supervised_tokens", detail=detail)

    def example(self, index: int) -> Piece:
        """Tokens, which of them are supervised, and the rest of what an example holds."""
        columns = self._columns
        size = columns["lengths"][index] * _TOKEN_BYTES
        packed = np.frombuffer(
            os.pread(self._handle, size, columns["starts"][index] * _TOKEN_BYTES), dtype=np.uint32
        )
        first, last = self._branch_span(index)
        label = columns["labels"][index]
        return Piece(
            packed & ~_SUPERVISED,
            (packed & _SUPERVISED) != 0,
            tuple(columns["branches"][first:last]),
            None if label < 0 else bool(label),
        )

    def references(self, indices: Sequence[int]) -> np.ndarray | None:
        """Of the branches of these examples, in order."""
        if self.reference is None:
            return None
        return np.concatenate([self.reference[slice(*self._branch_span(index))] for index in indices])

    def columns(self) -> Iterator[tuple[str, np.ndarray]]:
        """All that is known beside the tokens, ordered by row whatever the order they were added in."""
        rows = np.array(self._columns["rows"], dtype=np.int64)
        order = np.argsort(rows, kind="stable")
        spans = [self._branch_span(int(index)) for index in order] if self.branches else []
        branches = self._columns["branches"]
        yield "branches", np.array([one for first, last in spans for one in branches[first:last]], np.int64)
        widths = [last - first for first, last in spans] if spans else [0] * len(order)
        yield "branch_ends", np.cumsum(np.array(widths, dtype=np.int64))
        for name in ("starts", "lengths", "rows", "labels"):
            yield name, np.array(self._columns[name])[order]

    def blocks(self, size: int) -> Iterator[bytes]:
        """The tokens as they lie, so many bytes at a time."""
        for at in range(0, self._at * _TOKEN_BYTES, size):
            yield os.pread(self._handle, min(size, self._at * _TOKEN_BYTES - at), at)

    def _add(self, row: int) -> None:
        columns = self._columns
        first = len(self)
        tokens, supervised, cut, dropped = self.counts
        for example in self._make(row):
            cut += example.cut
            learnt = sum(example.supervised)
            if not learnt:
                continue
            data = _pack(example).tobytes()
            _write(self._handle, data, self._at * _TOKEN_BYTES)
            columns["starts"].append(self._at)
            columns["lengths"].append(len(example.tokens))
            columns["rows"].append(row)
            columns["branches"].extend(example.branches)
            columns["branch_ends"].append(len(columns["branches"]))
            columns["labels"].append(-1 if example.label is None else int(example.label))
            self._at += len(example.tokens)
            tokens, supervised = tokens + len(example.tokens), supervised + learnt
        some = len(self) > first
        self._example_of[row] = first if some else _NOTHING
        self.counts = Counts(tokens, supervised, cut, dropped + (not some))
        self._left -= 1

    def _branch_span(self, index: int) -> tuple[int, int]:
        ends = self._columns["branch_ends"]
        return ends[index - 1] if index else 0, ends[index]


def open_store(
    rows: Sequence[Row], method: Method, renderer: Renderer, settings: Any, handle: int
) -> TokenStore:
    """A store whose rows become examples when they are needed."""
    return TokenStore(handle, len(rows), lambda row: method.examples(rows[row], renderer, settings))


def nameless(aside: Path) -> int:
    """A file on the disk of `aside` that is gone when it is closed."""
    with tempfile.TemporaryFile(dir=aside) as file:
        return os.dup(file.fileno())


def tokenize(
    rows: Sequence[Row],
    method: Method,
    renderer: Renderer,
    settings: Any,
    aside: Path,
    tick: Callable[[int, int], None] = lambda done, total: None,
) -> TokenStore:
    """Make every row into examples now. Raises Problem `no_supervised_tokens` where nothing is left to learn."""
    store = open_store(rows, method, renderer, settings, nameless(aside))
    store.fill(tick)
    store.refuse_nothing()
    return store


def _pack(example: Example) -> np.ndarray:
    packed = np.asarray(example.tokens, dtype=np.uint32)
    marks = np.asarray(example.supervised, dtype=bool)
    assert not marks[0], "the first token can't be predicted"
    return np.where(marks, packed | _SUPERVISED, packed)


def _write(handle: int, data: bytes, at: int) -> None:
    while data:
        done = os.pwrite(handle, data, at)
        data, at = data[done:], at + done
