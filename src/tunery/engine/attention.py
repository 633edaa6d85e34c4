"""Causal attention over examples laid end to end: each segment attends to itself only.

No mask over the whole batch is ever made: the work is the sum of the segments' squares, not the square of the
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
    segments: tuple[int, ...],
    dropout: float = 0.0,
    scaling: float | None = None,
    sliding_window: int | None = None,
    softcap: float | None = None,
    **kwargs: Any,
) -> tuple[torch.Tensor, None]:
    """What transformers calls in each layer: query [1, heads, T, width] to output [1, T, heads, width]."""
    if key.shape[1] != query.shape[1] and softcap is not None:
        groups = query.shape[1] // key.shape[1]
        key, value = key.repeat_interleave(groups, 1), value.repeat_interleave(groups, 1)
    parts = [
        _attend(q, k, v, dropout, scaling, sliding_window, softcap)
        for q, k, v in zip(
            query.split(segments, 2), key.split(segments, 2), value.split(segments, 2), strict=True
        )
    ]
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
    length = q.shape[2]
    if softcap is not None:
        return _attend_capped(q, k, v, dropout, scaling, window, softcap)
    grouped = q.shape[1] != k.shape[1]
    if window is None or length <= window:
        return scaled_dot_product_attention(
            q, k, v, dropout_p=dropout, is_causal=True, scale=scaling, enable_gqa=grouped
        )
    return scaled_dot_product_attention(
        q, k, v, attn_mask=_band(length, window), dropout_p=dropout, scale=scaling, enable_gqa=grouped
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
    allowed = _band(q.shape[2], window or q.shape[2])
    weights = scores.masked_fill(~allowed, float("-inf")).softmax(-1, dtype=torch.float32).to(q.dtype)
    return torch.nn.functional.dropout(weights, dropout) @ v


def _band(length: int, window: int) -> torch.Tensor:
    """True where a query (row) may look at a key (column): itself and the window - 1 before it."""
    distance = torch.arange(length)[:, None] - torch.arange(length)[None, :]
    return (distance >= 0) & (distance < window)


AttentionInterface.register(NAME, segment_attention)
