"""Linear layers that train: the gradient of their weights, whose shared dimension is all tokens, is made by tiles.

It knows no model. What is computed is what torch computes, in another order of sums.
"""

from types import MethodType
from typing import Any

import torch
from torch.autograd.function import once_differentiable

from tunery.engine import tiles


class _Linear(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, x: torch.Tensor, weight_OI: torch.Tensor, bias_O: torch.Tensor | None
    ) -> torch.Tensor:
        ctx.save_for_backward(x, weight_OI)
        return torch.nn.functional.linear(x, weight_OI, bias_O)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: torch.Tensor) -> tuple[torch.Tensor | None, ...]:  # pyright: ignore[reportIncompatibleMethodOverride]
        x, weight_OI = ctx.saved_tensors
        along_TO = grad.flatten(0, -2)
        wants_x, wants_weight, wants_bias = ctx.needs_input_grad
        return (
            grad @ weight_OI if wants_x else None,
            tiles.product(along_TO.mT, x.flatten(0, -2)) if wants_weight else None,
            along_TO.sum(0) if wants_bias else None,
        )


def _forward(layer: Any, x: torch.Tensor) -> torch.Tensor:
    if not torch.is_grad_enabled() or not tiles.multiplies(x, layer.weight):
        return torch.nn.functional.linear(x, layer.weight, layer.bias)
    return _Linear.apply(x, layer.weight, layer.bias)  # pyright: ignore[reportReturnType]


def train_by_tiles(model: torch.nn.Module) -> None:
    """Let every plain linear layer that trains compute so."""
    for layer in model.modules():
        if type(layer) is torch.nn.Linear and layer.weight.requires_grad and "forward" not in vars(layer):
            layer.forward = MethodType(_forward, layer)
