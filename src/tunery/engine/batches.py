"""Examples laid end to end, and the plan of which go together at which step.

A plan follows from seed, epoch and lengths alone, so that a resumed run meets the same batches.
It knows nothing of models.
"""

from bisect import bisect_left, insort
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from tunery.engine.tokens import TokenStore
from tunery.methods.point import Example

WINDOW = 1024
"""Packing looks at so many examples at once: enough to fill bins to 98 %, few enough to keep the order random."""

FILL = 64
"""Tokens; batches are brought to a multiple of it."""

Group = list[int]
"""Indices of the examples of one batch."""


@dataclass(frozen=True)
class Batch:
    """S examples end to end without padding: T tokens, N of them supervised."""

    tokens_T: torch.Tensor
    positions_T: torch.Tensor
    lengths: tuple[int, ...]
    """Tokens of each segment; they sum to T."""
    predictors_N: torch.Tensor
    """Index of the token from whose hidden state each supervised token is predicted."""
    targets_N: torch.Tensor
    rows: tuple[int, ...]
    """Numbers of the rows it was made from, for messages."""

    @property
    def supervised(self) -> int:
        """N."""
        return self.targets_N.numel()


def collate(store: TokenStore, group: Sequence[int]) -> Batch:
    """Lay the examples of a group end to end."""
    return _lay([store.example(index) for index in group], tuple(store.row(index) for index in group))


def join(examples: Sequence[Example]) -> Batch:
    """Lay loose examples end to end."""
    return _lay([(np.asarray(e.tokens), np.asarray(e.supervised)) for e in examples], ())


def _lay(parts: list[tuple[np.ndarray, np.ndarray]], rows: tuple[int, ...]) -> Batch:
    lengths = tuple(len(tokens) for tokens, _ in parts)
    tokens_T = torch.from_numpy(np.concatenate([tokens for tokens, _ in parts]).astype(np.int64))
    # An example's first token is never supervised, so the one before a target is always of its segment.
    targets = np.flatnonzero(np.concatenate([supervised for _, supervised in parts]))
    return Batch(
        tokens_T=tokens_T,
        positions_T=torch.cat([torch.arange(length) for length in lengths]),
        lengths=lengths,
        predictors_N=torch.from_numpy(targets - 1),
        targets_N=tokens_T[torch.from_numpy(targets)],
        rows=rows,
    )


def fill(batch: Batch) -> Batch:
    """The batch with a segment of nothing at its end that brings T to a multiple of FILL.

    The matrix kernels are compiled for each shape they meet; without this every batch is a new one.
    """
    missing = -len(batch.tokens_T) % FILL
    if not missing:
        return batch
    return replace(
        batch,
        tokens_T=torch.nn.functional.pad(batch.tokens_T, (0, missing)),
        positions_T=torch.cat([batch.positions_T, torch.arange(missing)]),
        lengths=(*batch.lengths, missing),
    )


def order(count: int, seed: int, epoch: int) -> np.ndarray:
    """The examples in the order of one epoch."""
    return np.random.default_rng([seed, epoch]).permutation(count)


def plan_epoch(
    lengths: np.ndarray, *, seed: int, epoch: int, batch_size: int, pack_to: int | None
) -> list[Group]:
    """Every batch of one epoch; each example is in exactly one.

    `pack_to` is the token budget of one row of a packed batch; None puts `batch_size` examples together.
    """
    shuffled = order(len(lengths), seed, epoch)
    if pack_to is None:
        return [shuffled[at : at + batch_size].tolist() for at in range(0, len(shuffled), batch_size)]
    bins: list[Group] = []
    for at in range(0, len(shuffled), WINDOW):
        bins += _pack(shuffled[at : at + WINDOW], lengths, pack_to * batch_size)
    mixed = np.random.default_rng([seed, epoch, 1]).permutation(len(bins))
    return [bins[index] for index in mixed]


def _pack(window: np.ndarray, lengths: np.ndarray, budget: int) -> list[Group]:
    """Best-fit decreasing: longest first, each into the fullest bin that still takes it."""
    bins: list[Group] = []
    room: list[tuple[int, int]] = []  # (tokens left, bin), ascending
    for index in window[np.argsort(-lengths[window], kind="stable")].tolist():
        need = int(lengths[index])
        at = bisect_left(room, (need, -1))
        if at == len(room):
            bins.append([index])
            insort(room, (max(budget - need, 0), len(bins) - 1))
        else:
            left, number = room.pop(at)
            bins[number].append(index)
            insort(room, (left - need, number))
    return bins


def steps_of(groups: int, accumulate: int) -> int:
    """Optimizer steps of an epoch; its last may hold fewer batches."""
    return -(-groups // accumulate)


def plain_groups(count: int, size: int) -> Iterator[Group]:
    """All examples in order, `size` at a time: for measuring, where order doesn't matter."""
    for at in range(0, count, size):
        yield list(range(at, min(at + size, count)))
