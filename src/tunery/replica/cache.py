"""The key-value cache of a batch that answers join and leave while it decodes.

Rows lie right-aligned: a shorter row has padding on its left, so that the next token of every row is
written to the same column. It knows nothing of requests or adapters.

Shapes: B rows, H heads, L columns, D features of a head.
"""

from collections.abc import Sequence
from typing import Any

import torch
from transformers.cache_utils import Cache, DynamicLayer, EncoderDecoderCache

_GROW_BY = 256  # columns; without room to spare each token would copy the whole cache


class GrowingLayer(DynamicLayer):
    """One layer's keys and values, as views into buffers with room to grow."""

    def __init__(self) -> None:
        super().__init__()
        self._buffers: list[torch.Tensor] = []
        self._start = 0
        self._end = 0

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor, *args: Any, **kwargs: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Append columns to every row; returns all of them."""
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
        new = [key_states, value_states]
        after = self._end + key_states.shape[-2]
        if not self._buffers or after > self._buffers[0].shape[-2]:
            self._make_room(new)
            after = self._end + key_states.shape[-2]
        for buffer, states in zip(self._buffers, new, strict=True):
            buffer[:, :, self._end : after] = states
        self._end = after
        self._show()
        assert self.keys is not None
        assert self.values is not None
        return self.keys, self.values

    def trim_left(self, columns: int) -> None:
        """Forget columns that are padding in every row."""
        self._start += columns
        self._show()

    def select(self, rows: torch.Tensor) -> None:
        """Keep some rows."""
        self._own([view[rows] for view in self._views()])

    def join(self, other: "GrowingLayer") -> None:
        """Append the rows of another cache, either side padded on the left to the longer one."""
        self._own([_stack(*pair) for pair in zip(self._views(), other._views(), strict=True)])

    def _make_room(self, new: list[torch.Tensor]) -> None:
        old = self._views()
        columns = self._end - self._start
        room = columns + new[0].shape[-2] + _GROW_BY
        self._buffers = [states.new_zeros((*states.shape[:2], room, states.shape[-1])) for states in new]
        for buffer, content in zip(self._buffers, old, strict=False):
            buffer[:, :, :columns] = content
        self._start, self._end = 0, columns

    def _own(self, buffers: list[torch.Tensor]) -> None:
        self._buffers = buffers
        self._start, self._end = 0, buffers[0].shape[-2]
        self._show()

    def _views(self) -> list[torch.Tensor]:
        return [buffer[:, :, self._start : self._end] for buffer in self._buffers]

    def _show(self) -> None:
        self.keys, self.values = self._views()


def new_cache() -> Cache:
    """An empty cache; every layer keeps all columns, and masks alone make windows slide."""
    return Cache(layer_class_to_replicate=GrowingLayer)


def new_pair() -> EncoderDecoderCache:
    """An empty cache of a decoder's own text, and one of what it takes from the encoder."""
    return EncoderDecoderCache(new_cache(), new_cache())


def join(cache: Cache, other: Cache) -> None:
    """Append the rows of `other`."""
    for layer, more in zip(_layers(cache), _layers(other), strict=True):
        layer.join(more)


def keep(cache: Cache, rows: Sequence[int], trim: int, trim_read: int) -> None:
    """Keep some rows, and drop columns that are padding in all of them, `trim_read` of those from an encoder."""
    if isinstance(cache, EncoderDecoderCache):
        keep(cache.cross_attention_cache, rows, trim_read, 0)
        cache = cache.self_attention_cache
    index_B = torch.tensor(rows)
    for layer in _layers(cache):
        layer.trim_left(trim)
        layer.select(index_B)


def _layers(cache: Cache) -> list[GrowingLayer]:
    if isinstance(cache, EncoderDecoderCache):
        return [*_layers(cache.self_attention_cache), *_layers(cache.cross_attention_cache)]
    return cache.layers  # pyright: ignore[reportReturnType]


def _stack(upper: torch.Tensor, lower: torch.Tensor) -> torch.Tensor:
    columns = max(upper.shape[-2], lower.shape[-2])
    rows = upper.shape[0] + lower.shape[0]
    both = upper.new_zeros((rows, upper.shape[1], columns, upper.shape[3]))
    both[: upper.shape[0], :, columns - upper.shape[-2] :] = upper
    both[upper.shape[0] :, :, columns - lower.shape[-2] :] = lower
    return both
