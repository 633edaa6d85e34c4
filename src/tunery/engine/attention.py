"""Causal attention over examples laid end to end: each attends to itself only, a branch to its trunk and itself.

No mask over the whole batch is ever made: the work is the sum of the examples' squares, not the square of the
sum. Queries go block by block, each against the keys it may see; windows and soft caps of families that have
them are honoured. Registered with transformers under `NAME`.
"""

from collections.abc import Iterator
from functools import lru_cache
from typing import Any, NamedTuple

import torch
from torch.autograd.function import once_differentiable
from transformers import AttentionInterface

from tunery.engine import rowwise, tiles
from tunery.engine.tiles import Piece

NAME = "tunery_segments"
BLOCK = 256
"""Queries at a time: few enough to waste little beyond the diagonal, enough for the matrix kernels."""
KEPT = 1024
"""Up to so many keys the probabilities are kept for the way back; beyond, where they would fill the memory, they are
made again."""


_softmax_backward = torch.ops.aten._softmax_backward_data.default


class Terms(NamedTuple):
    """How queries and keys make probabilities."""

    scale: float
    window: int | None
    """Of how many keys, its own the last, a query sees the newest."""
    cap: float | None
    """What scores are bent to stay below."""


class Block(NamedTuple):
    """Some queries of a piece, against the keys `first` to `last` of those the piece sees."""

    start: int
    stop: int
    first: int
    last: int


def segment_attention(
    module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    *,
    shapes: tuple[tuple[int, ...], ...],
    dropout: float = 0.0,
    scaling: float | None = None,
    sliding_window: int | None = None,
    softcap: float | None = None,
    **kwargs: Any,
) -> tuple[torch.Tensor, None]:
    """What transformers calls in each layer: query [1, heads, T, width] to output [1, T, heads, width].

    `shapes` are those of the batch's examples: tokens of the trunk, then of each branch.
    """
    terms = Terms(query.shape[-1] ** -0.5 if scaling is None else scaling, sliding_window, softcap)
    if dropout:
        return _with_dropout(query, key, value, _pieces(shapes), terms, dropout), None
    kind = _Tiled if softcap is None and tiles.attends(query[0], value[0]) else _Segments
    out = kind.apply(query[0], key[0], value[0], _pieces(shapes), terms)
    assert isinstance(out, torch.Tensor)
    return out[None], None


@lru_cache(4)
def _pieces(shapes: tuple[tuple[int, ...], ...]) -> tuple[Piece, ...]:
    """The trunk and its first branch are one plain sequence; each other branch is a piece of its own."""
    found: list[Piece] = []
    at = 0
    for shape in shapes:
        first = sum(shape[:2])
        found.append(Piece(at, first, at, 0))
        branch = at + first
        for length in shape[2:]:
            found.append(Piece(branch, length, at, shape[0]))
            branch += length
        at = branch
    return tuple(found)


def _blocks(piece: Piece, window: int | None) -> Iterator[Block]:
    for at in range(0, piece.length, BLOCK):
        size = min(BLOCK, piece.length - at)
        last = piece.shared + at + size
        first = 0 if window is None else max(0, last - size - window + 1)
        yield Block(piece.start + at, piece.start + at + size, first, last)


def _seen(x_HTD: torch.Tensor, piece: Piece) -> torch.Tensor:
    """All keys or values that the piece sees."""
    own = x_HTD[:, piece.start : piece.start + piece.length]
    if not piece.shared:
        return own
    return torch.cat([x_HTD[:, piece.trunk : piece.trunk + piece.shared], own], 1)


def _folded(x_HTD: torch.Tensor, block: Block, groups: int) -> torch.Tensor:
    """A block's rows, those of the heads that share a key head under one another: [key heads, groups x rows, D]."""
    heads, _, width = x_HTD.shape
    part = x_HTD.view(heads // groups, groups, -1, width)[:, :, block.start : block.stop]
    return part.reshape(heads // groups, -1, width)


def _unfold(x_KRD: torch.Tensor, block: Block, into_THD: torch.Tensor) -> None:
    """Put a block's folded rows where they belong."""
    rows = block.stop - block.start
    heads, _, width = x_KRD.shape
    part = x_KRD.view(heads, -1, rows, width).permute(2, 0, 1, 3)
    into_THD[block.start : block.stop].view(part.shape).copy_(part)


@lru_cache(64)
def _hidden(rows: int, keys: int, window: int | None) -> torch.Tensor:
    """True where a query may not look at a key; the queries are the last of the keys' tokens."""
    distance = torch.arange(keys - rows, keys)[:, None] - torch.arange(keys)[None, :]
    return (distance < 0) | (distance >= (window or keys))


def _probabilities(
    queries_KRD: torch.Tensor, keys_KSD: torch.Tensor, rows: int, terms: Terms
) -> tuple[torch.Tensor, torch.Tensor | None]:
    """Of each row over the keys; with a soft cap also the hyperbolic tangents that the scores are made of."""
    tanh = None
    if terms.cap is None:
        scores = _product(queries_KRD, keys_KSD.mT, terms.scale)
        if rowwise.takes(scores):
            return rowwise.softmax(scores, rows, terms.window), None
    else:
        tanh = _product(queries_KRD, keys_KSD.mT, terms.scale / terms.cap).tanh_()
        scores = tanh * terms.cap
    keys = scores.shape[-1]
    by_head = scores.view(scores.shape[0], -1, rows, keys)
    if terms.window is None or keys <= terms.window:
        by_head[..., keys - rows :].masked_fill_(_hidden(rows, rows, None), float("-inf"))
    else:
        by_head.masked_fill_(_hidden(rows, keys, terms.window), float("-inf"))
    return torch.softmax(scores, -1), tanh


def _of_scores(p: torch.Tensor, grad: torch.Tensor) -> torch.Tensor:
    """The gradient of scores from that of their probabilities, which is used up."""
    if rowwise.takes(p, grad):
        return rowwise.softmax_backward(p, grad)
    return _softmax_backward(grad, p, -1, p.dtype)


def _product(a: torch.Tensor, b: torch.Tensor, factor: float) -> torch.Tensor:
    out = a.new_empty(a.shape[0], a.shape[1], b.shape[2])
    return torch.baddbmm(out, a, b, beta=0, alpha=factor)


class _Tiled(torch.autograd.Function):
    """By the compiled code, where the processor can: no probabilities are kept."""

    @staticmethod
    def forward(
        ctx: Any, q_HTD: torch.Tensor, k_KTD: torch.Tensor, v_KTD: torch.Tensor,
        pieces: tuple[Piece, ...], terms: Terms,
    ) -> torch.Tensor:  # fmt: skip
        q, k, v = (x if x.stride(2) == 1 else x.contiguous() for x in (q_HTD, k_KTD, v_KTD))
        out_THD, logs_HT = tiles.attend(q, k, v, pieces, terms.scale, terms.window)
        ctx.pieces, ctx.terms = pieces, terms
        ctx.save_for_backward(q, k, v, out_THD, logs_HT)
        return out_THD

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_THD: torch.Tensor) -> tuple[torch.Tensor | None, ...]:  # pyright: ignore[reportIncompatibleMethodOverride]
        terms = ctx.terms
        made = tiles.attend_back(ctx.saved_tensors, grad_THD, ctx.pieces, terms.scale, terms.window)
        return *made, None, None


class _Segments(torch.autograd.Function):
    """By torch's products of matrices, on any device."""

    @staticmethod
    def forward(
        ctx: Any, q_HTD: torch.Tensor, k_KTD: torch.Tensor, v_KTD: torch.Tensor,
        pieces: tuple[Piece, ...], terms: Terms,
    ) -> torch.Tensor:  # fmt: skip
        groups = q_HTD.shape[0] // k_KTD.shape[0]
        q_HTD, k_KTD, v_KTD = q_HTD.contiguous(), k_KTD.contiguous(), v_KTD.contiguous()
        out_THD = v_KTD.new_empty(q_HTD.shape[1], q_HTD.shape[0], v_KTD.shape[2])
        kept: list[torch.Tensor] = []
        for piece in pieces:
            keys, values = _seen(k_KTD, piece), _seen(v_KTD, piece)
            for block in _blocks(piece, terms.window):
                seen = slice(block.first, block.last)
                queries = _folded(q_HTD, block, groups)
                p, tanh = _probabilities(queries, keys[:, seen], block.stop - block.start, terms)
                _unfold(torch.bmm(p, values[:, seen]), block, out_THD)
                if _keeps(piece, tanh):
                    kept.append(p)
        ctx.pieces, ctx.terms, ctx.groups = pieces, terms, groups
        ctx.save_for_backward(q_HTD, k_KTD, v_KTD, *kept)
        return out_THD

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_THD: torch.Tensor) -> tuple[torch.Tensor | None, ...]:  # pyright: ignore[reportIncompatibleMethodOverride]
        q_HTD, k_KTD, v_KTD, *kept = ctx.saved_tensors
        terms, groups = ctx.terms, ctx.groups
        grad_HTD = grad_THD.transpose(0, 1).contiguous()
        dq_THD = q_HTD.new_empty(q_HTD.shape[1], q_HTD.shape[0], q_HTD.shape[2])
        dk_KTD = torch.zeros_like(k_KTD, dtype=torch.float32)
        dv_KTD = torch.zeros_like(v_KTD, dtype=torch.float32)
        at = 0
        for piece in ctx.pieces:
            keys, values = _seen(k_KTD, piece), _seen(v_KTD, piece)
            for block in _blocks(piece, terms.window):
                seen = slice(block.first, block.last)
                queries, grad = _folded(q_HTD, block, groups), _folded(grad_HTD, block, groups)
                tanh = None
                if _keeps(piece, terms.cap):
                    p, at = kept[at], at + 1
                else:
                    p, tanh = _probabilities(queries, keys[:, seen], block.stop - block.start, terms)
                _give(dv_KTD, piece, block, torch.bmm(p.mT, grad))
                ds = _of_scores(p, torch.bmm(grad, values[:, seen].mT))
                if tanh is not None:
                    ds.mul_(1 - tanh.square_())
                _give(dk_KTD, piece, block, _product(ds.mT, queries, terms.scale))
                _unfold(_product(ds, keys[:, seen], terms.scale), block, dq_THD)
        return dq_THD.transpose(0, 1), dk_KTD.to(k_KTD.dtype), dv_KTD.to(v_KTD.dtype), None, None


def _keeps(piece: Piece, capped: object) -> bool:
    return capped is None and piece.shared + piece.length <= KEPT


def _give(into_KTD: torch.Tensor, piece: Piece, block: Block, gradient: torch.Tensor) -> None:
    """Add a gradient of the keys or values that a block saw to those of the trunk and of the piece itself."""
    border = max(piece.shared - block.first, 0)
    if border:
        trunk = piece.trunk + block.first
        into_KTD[:, trunk : trunk + border] += gradient[:, :border]
    own = piece.start + max(block.first - piece.shared, 0)
    into_KTD[:, own : block.stop] += gradient[:, border:]


def _with_dropout(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    pieces: tuple[Piece, ...],
    terms: Terms,
    dropout: float,
) -> torch.Tensor:
    """The same, some of the probabilities put to zero; by autograd, which remembers which."""
    groups = query.shape[1] // key.shape[1]
    key, value = key[0].repeat_interleave(groups, 0), value[0].repeat_interleave(groups, 0)
    parts: list[torch.Tensor] = []
    for piece in pieces:
        q, k, v = (
            query[0, :, piece.start : piece.start + piece.length],
            _seen(key, piece),
            _seen(value, piece),
        )
        scores = q @ k.mT * terms.scale
        if terms.cap is not None:
            scores = terms.cap * torch.tanh(scores / terms.cap)
        hidden = _hidden(q.shape[1], k.shape[1], terms.window)
        p = scores.masked_fill(hidden, float("-inf")).softmax(-1, dtype=torch.float32).to(q.dtype)
        parts.append(torch.nn.functional.dropout(p, dropout) @ v)
    return torch.cat(parts, 1).transpose(0, 1)[None].contiguous()


AttentionInterface.register(NAME, segment_attention)
