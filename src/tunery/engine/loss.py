"""Negative log-likelihood through the output layer, a few rows of logits at a time.

Logits of all tokens over the whole vocabulary would be the largest matrix of the training by far. Here
gradients are made while a chunk's logits are at hand, in their place, and only gradients are kept.
"""

from collections.abc import Iterator
from typing import Any

import torch
from torch.autograd.function import once_differentiable

CHUNK_BYTES = 32 * 2**20
"""Upper size of a chunk's logits in fp32."""
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
        even: bool,
    ) -> torch.Tensor:
        count = len(targets_N)
        # As with a batch's tokens, the kernels shouldn't meet a new shape every time.
        hidden_NH = torch.nn.functional.pad(hidden_NH, (0, 0, 0, -count % FILL))
        targets_N = torch.nn.functional.pad(targets_N, (0, -count % FILL))
        nll_N = torch.empty(len(targets_N), dtype=torch.float32)
        wanted = ctx.needs_input_grad if even else (False,)
        gradients = _Gradients(hidden_NH, weight_VH, bias_V, wanted, count)
        for at, h, t in _chunks(hidden_NH, weight_VH, targets_N):
            logits = torch.nn.functional.linear(h, weight_VH, bias_V).float()
            nll_N[at : at + len(t)] = torch.nn.functional.cross_entropy(logits, t, reduction="none")
            if gradients.wanted:
                gradients.add(at, h, t, logits)
        ctx.even = even
        ctx.save_for_backward(hidden_NH, weight_VH, bias_V, targets_N, *gradients.tensors)
        return nll_N[:count]

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_N: torch.Tensor) -> tuple[torch.Tensor | None, ...]:  # pyright: ignore[reportIncompatibleMethodOverride]
        hidden_NH, weight_VH, bias_V, targets_N, *made = ctx.saved_tensors
        if ctx.even and (grad_N.numel() == 0 or bool((grad_N == grad_N[0]).all())):
            scale = grad_N.sum() if grad_N.numel() == 0 else grad_N[0]
            scaled = [None if tensor is None else tensor * scale.to(tensor.dtype) for tensor in made]
        else:
            # Tokens weigh differently, so what was made for equal weights doesn't serve.
            gradients = _Gradients(hidden_NH, weight_VH, bias_V, ctx.needs_input_grad, len(grad_N))
            scales_N = torch.nn.functional.pad(grad_N, (0, len(targets_N) - len(grad_N)))
            for at, h, t in _chunks(hidden_NH, weight_VH, targets_N):
                logits = torch.nn.functional.linear(h, weight_VH, bias_V).float()
                gradients.add(at, h, t, logits, scales_N[at : at + len(t), None])
            scaled = gradients.tensors
        hidden, weight, bias = scaled
        return (
            None if hidden is None else hidden[: len(grad_N)],
            None if weight is None else weight.to(weight_VH.dtype),
            None if bias is None or bias_V is None else bias.to(bias_V.dtype),
            None,
            None,
        )


class _Gradients:
    """Gradients of the three inputs that want one, gathered over chunks; weight and bias in fp32."""

    def __init__(
        self,
        hidden_NH: torch.Tensor,
        weight_VH: torch.Tensor,
        bias_V: torch.Tensor | None,
        wanted: tuple[bool, ...],
        count: int,
    ) -> None:
        self._weight_VH = weight_VH
        self._count = count
        hidden, weight, bias = (*wanted, False, False)[:3]
        self.wanted = hidden or weight or bias
        self.hidden = torch.empty_like(hidden_NH) if hidden else None
        self.weight = torch.zeros_like(weight_VH, dtype=torch.float32) if weight else None
        self.bias = torch.zeros_like(bias_V, dtype=torch.float32) if bias and bias_V is not None else None

    @property
    def tensors(self) -> list[torch.Tensor | None]:
        return [self.hidden, self.weight, self.bias]

    def add(
        self,
        at: int,
        h: torch.Tensor,
        t: torch.Tensor,
        logits: torch.Tensor,
        scale: torch.Tensor | None = None,
    ) -> None:
        """Add what the rows from `at` give. Overwrites `logits`."""
        error = torch.softmax(logits, -1, out=logits)
        error[torch.arange(len(t)), t] -= 1
        error[max(self._count - at, 0) :] = 0
        if scale is not None:
            error *= scale
        error = error.to(h.dtype)
        if self.hidden is not None:
            torch.mm(error, self._weight_VH, out=self.hidden[at : at + len(t)])
        if self.weight is not None:
            self.weight += error.T @ h
        if self.bias is not None:
            self.bias += error.sum(0, dtype=torch.float32)


def _chunks(
    hidden_NH: torch.Tensor, weight_VH: torch.Tensor, targets_N: torch.Tensor
) -> Iterator[tuple[int, torch.Tensor, torch.Tensor]]:
    rows = max(FILL, CHUNK_BYTES // (4 * weight_VH.shape[0]))
    for at in range(0, len(targets_N), rows):
        yield at, hidden_NH[at : at + rows], targets_N[at : at + rows]


def linear_nll(
    hidden_NH: torch.Tensor,
    weight_VH: torch.Tensor,
    bias_V: torch.Tensor | None,
    targets_N: torch.Tensor,
    *,
    even: bool,
) -> torch.Tensor:
    """-log softmax(hidden @ weight.T + bias)[target] of each row, in nats, fp32.

    `even` says that all rows will weigh the same in what is differentiated: gradients are then made along the way
    and the logits never again. It may be wrong, at the price of time.
    """
    result = _LinearNll.apply(hidden_NH, weight_VH, bias_V, targets_N, even and torch.is_grad_enabled())
    assert isinstance(result, torch.Tensor)
    return result
