"""Examples laid end to end, and the plan of which go together at which step.

A plan follows from seed, epoch and lengths alone, so that a resumed run meets the same batches.
It knows nothing of models.
"""

from bisect import bisect_left, insort
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from tunery.engine.tokens import Piece, TokenStore
from tunery.methods.point import Example

WINDOW = 1024
"""Packing looks at so many examples at once: enough to fill bins to 98 %, few enough to keep the order random."""

FILL = 64
"""Tokens; batches are brought to a multiple of it."""

Group = list[int]
"""Indices of the examples of one batch."""


Shape = tuple[int, ...]
"""Tokens of an example's trunk, then of each of its branches."""


@dataclass(frozen=True)
class Batch:
    """Examples end to end without padding: T tokens in S sequences, N of them supervised.

    An example is a plain sequence, or a trunk with branches: each branch goes on where the trunk ends, and with it
    makes a sequence. The trunk is there once; what is supervised in it counts for the first branch's sequence.
    """

    tokens_T: torch.Tensor
    positions_T: torch.Tensor
    shapes: tuple[Shape, ...]
    """Of each example; they sum to T."""
    predictors_N: torch.Tensor
    """Index of the token from whose hidden state each supervised token is predicted."""
    targets_N: torch.Tensor
    sequences_N: torch.Tensor
    """Which sequence each supervised token counts for."""
    in_branch_N: torch.Tensor
    """Whether it stands in a branch, not in a trunk or a plain sequence."""
    ends_S: torch.Tensor
    """Index of each sequence's last token."""
    pieces: tuple[Piece, ...]
    """What it was made of."""
    rows: tuple[int, ...]
    """Numbers of the rows it was made from, for messages."""
    reference_S: torch.Tensor | None = None
    """Log-likelihood of each sequence before training, where it is known."""

    @property
    def supervised(self) -> int:
        """N."""
        return self.targets_N.numel()

    @property
    def examples(self) -> int:
        """How many examples it holds."""
        return len(self.pieces)

    @property
    def labels(self) -> tuple[bool | None, ...]:
        """Whether each example's answer is wanted."""
        return tuple(piece.label for piece in self.pieces)

    @property
    def branches(self) -> tuple[int, ...]:
        """How many branches each example has."""
        return tuple(len(piece.branches) for piece in self.pieces)

    def by_sequence(self, values_N: torch.Tensor) -> torch.Tensor:
        """Sums over each sequence of what is given for its supervised tokens."""
        return torch.zeros(len(self.ends_S), dtype=values_N.dtype).index_add(0, self.sequences_N, values_N)

    def mismatched(self, limit: int) -> "Batch":
        """Each example's trunk with the first branch of the one before it, cut at `limit` tokens."""
        return _lay([_graft(self.pieces[at], self.pieces[at - 1], limit) for at in range(self.examples)], ())


def collate(store: TokenStore, group: Sequence[int]) -> Batch:
    """Lay the examples of a group end to end."""
    batch = _lay([store.example(index) for index in group], tuple(store.row(index) for index in group))
    known = store.references(group)
    return batch if known is None else replace(batch, reference_S=torch.from_numpy(known))


def join(examples: Sequence[Example]) -> Batch:
    """Lay loose examples end to end."""
    pieces = [Piece(np.asarray(e.tokens), np.asarray(e.supervised), e.branches, e.label) for e in examples]
    return _lay(pieces, ())


def _lay(pieces: Sequence[Piece], rows: tuple[int, ...]) -> Batch:
    shapes: list[Shape] = []
    positions: list[np.ndarray] = []
    targets: list[np.ndarray] = []
    predictors: list[np.ndarray] = []
    sequences: list[np.ndarray] = []
    in_branch: list[np.ndarray] = []
    ends: list[int] = []
    at = 0
    for piece in pieces:
        trunk = len(piece.tokens) - sum(piece.branches)
        shape = (trunk, *piece.branches)
        borders = np.cumsum(shape)
        # Branch of each token, -1 in the trunk.
        branch = np.repeat(np.arange(-1, len(piece.branches)), shape)
        learnt = np.flatnonzero(piece.supervised)
        # A sequence's first token is never supervised, so the one before a target is always of its sequence;
        # only before the first token of a later branch stands another branch instead of the trunk.
        first = np.isin(learnt, borders[:-1])
        predictors.append(at + np.where(first, trunk - 1, learnt - 1))
        targets.append(at + learnt)
        sequences.append(len(ends) + np.maximum(branch[learnt], 0))
        in_branch.append(branch[learnt] >= 0)
        positions += [np.arange(trunk), *(np.arange(trunk, trunk + length) for length in piece.branches)]
        shapes.append(shape)
        ends += (at + (borders[1:] if piece.branches else borders) - 1).tolist()
        at += len(piece.tokens)
    tokens_T = torch.from_numpy(np.concatenate([piece.tokens for piece in pieces]).astype(np.int64))
    targets_N = np.concatenate(targets)
    return Batch(
        tokens_T=tokens_T,
        positions_T=torch.from_numpy(np.concatenate(positions)),
        shapes=tuple(shapes),
        predictors_N=torch.from_numpy(np.concatenate(predictors)),
        targets_N=tokens_T[torch.from_numpy(targets_N)],
        sequences_N=torch.from_numpy(np.concatenate(sequences)),
        in_branch_N=torch.from_numpy(np.concatenate(in_branch)),
        ends_S=torch.tensor(ends),
        pieces=tuple(pieces),
        rows=rows,
    )


def _graft(piece: Piece, other: Piece, limit: int) -> Piece:
    """One example's trunk with another's first branch."""
    trunk = len(piece.tokens) - sum(piece.branches)
    start = len(other.tokens) - sum(other.branches)
    stop = start + min(other.branches[0], limit - trunk)
    return Piece(
        np.concatenate([piece.tokens[:trunk], other.tokens[start:stop]]),
        np.concatenate([np.zeros(trunk, dtype=bool), other.supervised[start:stop]]),
        (stop - start,),
        None,
    )


def fill(batch: Batch) -> Batch:
    """The batch with an example of nothing at its end that brings T to a multiple of FILL.

    The matrix kernels are compiled for each shape they meet; without this every batch is a new one.
    """
    missing = -len(batch.tokens_T) % FILL
    if not missing:
        return batch
    return replace(
        batch,
        tokens_T=torch.nn.functional.pad(batch.tokens_T, (0, missing)),
        positions_T=torch.cat([batch.positions_T, torch.arange(missing)]),
        shapes=(*batch.shapes, (missing,)),
    )


def order(count: int, seed: int, epoch: int) -> np.ndarray:
    """The examples in the order of one epoch."""
    return np.random.default_rng([seed, epoch]).permutation(count)


def plan_epoch(
    lengths: np.ndarray, *, seed: int, epoch: int, batch_size: int, pack_to: int | None, at_least: int = 1
) -> list[Group]:
    """Every batch of one epoch; each example is in exactly one.

    `pack_to` is the token budget of one row of a packed batch; None puts `batch_size` examples together. Batches
    of fewer than `at_least` examples join the one before them.
    """
    shuffled = order(len(lengths), seed, epoch)
    if pack_to is None:
        plain = [shuffled[at : at + batch_size].tolist() for at in range(0, len(shuffled), batch_size)]
        return _no_fewer(plain, at_least)
    bins: list[Group] = []
    for at in range(0, len(shuffled), WINDOW):
        bins += _pack(shuffled[at : at + WINDOW], lengths, pack_to * batch_size)
    mixed = np.random.default_rng([seed, epoch, 1]).permutation(len(bins))
    return _no_fewer([bins[index] for index in mixed], at_least)


def plan_rows(count: int, *, seed: int, epoch: int, batch_size: int) -> list[Group]:
    """Every batch of one epoch by the numbers of its rows, where a row gives one example or none.

    It follows from seed and epoch alone, so that training can begin before the other rows have become tokens.
    """
    shuffled = order(count, seed, epoch)
    return [shuffled[at : at + batch_size].tolist() for at in range(0, count, batch_size)]


def _no_fewer(groups: list[Group], at_least: int) -> list[Group]:
    """The groups, with each that is too small added to the one before it, or to the one after where it's first."""
    kept: list[Group] = []
    for group in groups:
        if kept and min(len(group), len(kept[-1])) < at_least:
            kept[-1] = kept[-1] + group
        else:
            kept.append(group)
    return kept


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


def plain_groups(count: int, size: int, at_least: int = 1) -> list[Group]:
    """All examples in order, `size` at a time: for measuring, where order doesn't matter."""
    groups = [list(range(at, min(at + size, count))) for at in range(0, count, size)]
    return _no_fewer(groups, at_least)


def token_groups(lengths: np.ndarray, budget: int) -> Iterator[Group]:
    """All examples in order, about `budget` tokens at a time."""
    group: Group = []
    taken = 0
    for index, length in enumerate(lengths.tolist()):
        if group and taken + length > budget:
            yield group
            group, taken = [], 0
        group.append(index)
        taken += length
    if group:
        yield group
