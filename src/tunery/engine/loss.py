"""Negative log-likelihood through the output layer, for the supervised rows only and never in a full fp32 matrix.

Logits of all tokens over the whole vocabulary would be the largest matrix of the training by far. Here they are made
for a chunk of rows at a time, and turned into their gradients in the place where they lie.
"""

from collections.abc import Iterator
from typing import Any

import torch
from torch.autograd.function import once_differentiable

from tunery.engine import rowwise

CHUNK_BYTES = 128 * 2**20
"""Upper size of a chunk's logits in the numbers of the computation."""
SLICE_BYTES = 2**20
"""Upper size of what is worked on in fp32 at once: it stays in the processor's cache."""
KEPT_BYTES = 256 * 2**20
"""Upper size of all chunks that are kept for the way back, or the size of the layer's weights in fp32 where that is
more; others are made again."""
FILL = 64
"""Rows; they are brought to a multiple of it."""


class _LinearNll(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        hidden_NH: torch.Tensor,
        weight_VH: torch.Tensor,
        bias_V: torch.Tensor | None,
        targets_N: torch.Tensor,
        alike: bool,
    ) -> torch.Tensor:
        count = len(targets_N)
        # As with a batch's tokens, the kernels shouldn't meet a new shape every time.
        hidden_NH = torch.nn.functional.pad(hidden_NH, (0, 0, 0, -count % FILL))
        targets_N = torch.nn.functional.pad(targets_N, (0, -count % FILL))
        ones_N1 = torch.nn.functional.pad(torch.ones(count), (0, -count % FILL))[:, None]
        wants_hidden, *wants_layer = ctx.needs_input_grad[:3]
        nll_N = torch.empty(len(targets_N), dtype=torch.float32)
        # A row's gradient is that of its logits times what the row weighs, so it can be made before that is known.
        made_NH = torch.empty_like(hidden_NH) if wants_hidden else None
        kept: list[torch.Tensor] = []
        layer = _Layer(*wants_layer)
        room = max(KEPT_BYTES, 4 * weight_VH.numel())
        for rows in _chunks(hidden_NH, weight_VH):
            logits = torch.nn.functional.linear(hidden_NH[rows], weight_VH, bias_V)
            _to_errors(logits, targets_N[rows], nll_N[rows], made_NH is not None or any(wants_layer))
            if made_NH is not None:
                torch.mm(logits, weight_VH, out=made_NH[rows])
            if alike:
                layer.add(logits, hidden_NH[rows], ones_N1[rows])
            else:
                room -= logits.nbytes
                if any(wants_layer) and room >= 0:
                    kept.append(logits)
        ctx.layer = layer if alike else None
        ctx.save_for_backward(hidden_NH, weight_VH, bias_V, targets_N, made_NH, *kept)
        return nll_N[:count]

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_N: torch.Tensor) -> tuple[torch.Tensor | None, ...]:  # pyright: ignore[reportIncompatibleMethodOverride]
        hidden_NH, weight_VH, bias_V, targets_N, made_NH, *kept = ctx.saved_tensors
        _, wants_weight, wants_bias = ctx.needs_input_grad[:3]
        count = len(grad_N)
        grad_N1 = torch.nn.functional.pad(grad_N, (0, len(targets_N) - count))[:, None]
        hidden = None if made_NH is None else (made_NH[:count] * grad_N[:, None]).to(made_NH.dtype)
        layer = ctx.layer
        if layer is not None:
            if not bool((grad_N == grad_N[:1]).all()):
                raise RuntimeError("rows that were to weigh alike don't")
            weight, bias = layer.times(float(grad_N[0]) if count else 1.0)
        else:
            layer = _Layer(wants_weight, wants_bias)
            for number, rows in enumerate(
                _chunks(hidden_NH, weight_VH) if wants_weight or wants_bias else ()
            ):
                if number < len(kept):
                    errors = kept[number]
                else:
                    errors = torch.nn.functional.linear(hidden_NH[rows], weight_VH, bias_V)
                    _to_errors(errors, targets_N[rows], None, True)
                layer.add(errors, hidden_NH[rows], grad_N1[rows])
            weight, bias = layer.times(1.0)
        return (
            hidden,
            None if weight is None else weight.to(weight_VH.dtype),
            None if bias is None or bias_V is None else bias.to(bias_V.dtype),
            None,
            None,
        )


class _Layer:
    """The gradients of the output layer's weights, those that are wanted, as they add up over chunks of rows."""

    def __init__(self, wants_weight: bool, wants_bias: bool) -> None:
        self._wanted = wants_weight, wants_bias
        self._weight_VH: torch.Tensor | None = None
        self._bias_V: torch.Tensor | None = None

    def add(self, errors_RV: torch.Tensor, hidden_RH: torch.Tensor, weights_R1: torch.Tensor) -> None:
        wants_weight, wants_bias = self._wanted
        if wants_weight:
            weighed_RH = (hidden_RH * weights_R1).to(errors_RV.dtype)
            self._weight_VH = _sum(self._weight_VH, errors_RV.T @ weighed_RH)
        if wants_bias:
            self._bias_V = _sum(self._bias_V, (errors_RV.T @ weights_R1.to(errors_RV.dtype))[:, 0])

    def times(self, factor: float) -> tuple[torch.Tensor | None, torch.Tensor | None]:
        """Both, multiplied."""
        weight, bias = self._weight_VH, self._bias_V
        if factor != 1.0:
            weight, bias = (None if one is None else one * factor for one in (weight, bias))
        return weight, bias


def _to_errors(
    logits_RV: torch.Tensor, targets_R: torch.Tensor, nll_R: torch.Tensor | None, wanted: bool
) -> None:
    """Write each row's loss, and over its logits what they err by: their probabilities, less 1 at the target."""
    if rowwise.takes(logits_RV):
        nll_R = torch.empty(len(targets_R)) if nll_R is None else nll_R
        rowwise.losses(logits_RV, targets_R, nll_R, wanted)
    else:
        to_errors(logits_RV, targets_R, nll_R, wanted)


def to_errors(
    logits_RV: torch.Tensor, targets_R: torch.Tensor, nll_R: torch.Tensor | None, wanted: bool
) -> None:
    """The same by torch, in slices of rows."""
    size = max(1, SLICE_BYTES // (4 * logits_RV.shape[1]))
    work_SV = torch.empty(min(size, len(targets_R)), logits_RV.shape[1], dtype=torch.float32)
    for at in range(0, len(targets_R), size):
        rows = slice(at, at + size)
        targets_S1 = targets_R[rows, None]
        p = work_SV[: len(targets_S1)]
        p.copy_(logits_RV[rows])
        top_S1, aimed_S1 = p.amax(1, keepdim=True), p.gather(1, targets_S1)
        p.sub_(top_S1).exp_()
        total_S1 = p.sum(1, keepdim=True)
        if nll_R is not None:
            nll_R[rows] = (top_S1 + total_S1.log() - aimed_S1)[:, 0]
        if wanted:
            p.mul_(total_S1.reciprocal_())
            p.scatter_add_(1, targets_S1, p.new_full((len(p), 1), -1.0))
            logits_RV[rows] = p


def _sum(so_far: torch.Tensor | None, more: torch.Tensor) -> torch.Tensor:
    """The first as it is, more of them in fp32."""
    return more if so_far is None else so_far.float().add_(more)


def _chunks(hidden_NH: torch.Tensor, weight_VH: torch.Tensor) -> Iterator[slice]:
    size = max(FILL, CHUNK_BYTES // (weight_VH.element_size() * weight_VH.shape[0]) // FILL * FILL)
    for at in range(0, len(hidden_NH), size):
        yield slice(at, at + size)


def linear_nll(
    hidden_NH: torch.Tensor,
    weight_VH: torch.Tensor,
    bias_V: torch.Tensor | None,
    targets_N: torch.Tensor,
    *,
    alike: bool = False,
) -> torch.Tensor:
    """-log softmax(hidden @ weight.T + bias)[target] of each row, in nats, fp32.

    `alike` promises that all rows will weigh the same, as in their sum: then no logits are kept for the way back.
    """
    if not torch.is_grad_enabled():  # the function below can't see that
        weight_VH, bias_V = weight_VH.detach(), None if bias_V is None else bias_V.detach()
    result = _LinearNll.apply(hidden_NH, weight_VH, bias_V, targets_N, alike)
    assert isinstance(result, torch.Tensor)
    return result
