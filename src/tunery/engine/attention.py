"""Causal attention over examples laid end to end: each attends to itself only, a branch to its trunk and itself.

No mask over the whole batch is ever made: the work is the sum of the examples' squares, not the square of the
sum. Windows and soft caps of families that have them are honoured. Registered with transformers under `NAME`.
"""

from typing import Any

import torch
from torch.nn.functional import scaled_dot_product_attention
from transformers import AttentionInterface

NAME = "tunery_segments"


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
    if key.shape[1] != query.shape[1] and softcap is not None:
        groups = query.shape[1] // key.shape[1]
        key, value = key.repeat_interleave(groups, 1), value.repeat_interleave(groups, 1)
    lengths = [sum(shape) for shape in shapes]
    parts: list[torch.Tensor] = []
    for shape, q, k, v in zip(
        shapes, query.split(lengths, 2), key.split(lengths, 2), value.split(lengths, 2), strict=True
    ):
        # The trunk and its first branch are one plain sequence.
        trunk, first = shape[0], sum(shape[:2])
        parts.append(
            _attend(
                q[:, :, :first], k[:, :, :first], v[:, :, :first], dropout, scaling, sliding_window, softcap
            )
        )
        at = first
        for length in shape[2:]:
            own = slice(at, at + length)
            seen_k, seen_v = (torch.cat([x[:, :, :trunk], x[:, :, own]], 2) for x in (k, v))
            parts.append(_attend(q[:, :, own], seen_k, seen_v, dropout, scaling, sliding_window, softcap))
            at += length
    out = parts[0] if len(parts) == 1 else torch.cat(parts, 2)
    return out.transpose(1, 2).contiguous(), None


def _attend(
    q: torch.Tensor,
    k: torch.Tensor,
    v: torch.Tensor,
    dropout: float,
    scaling: float | None,
    window: int | None,
    softcap: float | None,
) -> torch.Tensor:
    asking, asked = q.shape[2], k.shape[2]
    if softcap is not None:
        return _attend_capped(q, k, v, dropout, scaling, window, softcap)
    grouped = q.shape[1] != k.shape[1]
    if asking == asked and (window is None or asked <= window):
        return scaled_dot_product_attention(
            q, k, v, dropout_p=dropout, is_causal=True, scale=scaling, enable_gqa=grouped
        )
    return scaled_dot_product_attention(
        q, k, v, attn_mask=_band(asking, asked, window), dropout_p=dropout, scale=scaling, enable_gqa=grouped
    )


def _attend_capped(
    q: torch.Tensor,
    k: torch.Tensor,
    v: torch.Tensor,
    dropout: float,
    scaling: float | None,
    window: int | None,
    softcap: float,
) -> torch.Tensor:
    scale = q.shape[-1] ** -0.5 if scaling is None else scaling
    scores = softcap * torch.tanh(q @ k.transpose(-1, -2) * scale / softcap)
    allowed = _band(q.shape[2], k.shape[2], window)
    weights = scores.masked_fill(~allowed, float("-inf")).softmax(-1, dtype=torch.float32).to(q.dtype)
    return torch.nn.functional.dropout(weights, dropout) @ v


def _band(asking: int, asked: int, window: int | None) -> torch.Tensor:
    """True where a query (row) may look at a key (column): itself and the window - 1 before it.

    The queries are the last of the keys' tokens.
    """
    distance = torch.arange(asked - asking, asked)[:, None] - torch.arange(asked)[None, :]
    return (distance >= 0) & (distance < (window or asked))


AttentionInterface.register(NAME, segment_attention)
