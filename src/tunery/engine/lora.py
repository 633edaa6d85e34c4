"""A linear layer with its LoRA beside it as one function (Hu et al. 2021, eq. 3): y = x W' + b + s (d(x) A') B'.

PEFT's own takes a pass over the whole output for the scale, one for the sum, and keeps both for the way back; here
the low-rank product is added while it is made. It knows no method and no model.
"""

from types import MethodType
from typing import Any

import torch
from peft.tuners.lora.layer import Linear
from torch.autograd.function import once_differentiable

from tunery.engine import tiles


def join_adapters(model: torch.nn.Module) -> None:
    """Let every plain LoRA layer compute so; those of other kinds keep their own."""
    for layer in model.modules():
        if type(layer) is Linear and type(layer.base_layer) is torch.nn.Linear and not layer.lora_variant:
            layer.forward = MethodType(_forward, layer)


def _forward(layer: Any, x: torch.Tensor, *given: Any, **named: Any) -> torch.Tensor:
    adapter = layer.active_adapters[0]
    base, a, b = layer.base_layer, layer.lora_A[adapter].weight, layer.lora_B[adapter].weight
    plain = len(layer.active_adapters) == 1 and not (given or named or layer.disable_adapters or layer.merged)
    if not plain or not x.dtype == base.weight.dtype == a.dtype == b.dtype:
        return Linear.forward(layer, x, *given, **named)
    dropout = layer.lora_dropout[adapter]
    dropped = dropout(x) if layer.training and isinstance(dropout, torch.nn.Dropout) else None
    return _Joined.apply(x, dropped, base.weight, base.bias, a, b, layer.scaling[adapter])  # pyright: ignore[reportReturnType]


class _Joined(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, x: torch.Tensor, dropped: torch.Tensor | None, weight_OI: torch.Tensor, bias_O: torch.Tensor | None,
        a_RI: torch.Tensor, b_OR: torch.Tensor, scale: float,
    ) -> torch.Tensor:  # fmt: skip
        y = torch.nn.functional.linear(x, weight_OI, bias_O)
        into = (x if dropped is None else dropped).flatten(0, -2)
        low_TR = tiles.product(into, a_RI.mT)
        tiles.product(low_TR, b_OR.mT, scale, onto=y.view(-1, y.shape[-1]))
        ctx.save_for_backward(into, low_TR, weight_OI, a_RI, b_OR)
        ctx.scale, ctx.drops = scale, dropped is not None
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: torch.Tensor) -> tuple[torch.Tensor | None, ...]:  # pyright: ignore[reportIncompatibleMethodOverride]
        into, low_TR, weight_OI, a_RI, b_OR = ctx.saved_tensors
        along = grad.flatten(0, -2)
        back_TR = tiles.product(along, b_OR, ctx.scale)
        # Turned, for then only what is narrow is brought into another order.
        b = tiles.product(low_TR.mT, along, ctx.scale).mT if ctx.needs_input_grad[5] else None
        a = tiles.product(back_TR.mT, into) if ctx.needs_input_grad[4] else None
        x = dropped = None
        if ctx.needs_input_grad[0]:
            x = along @ weight_OI
            if not ctx.drops:
                tiles.product(back_TR, a_RI, onto=x)
            x = x.view(*grad.shape[:-1], -1)
        if ctx.needs_input_grad[1]:
            dropped = tiles.product(back_TR, a_RI).view(*grad.shape[:-1], -1)
        return x, dropped, None, None, a, b, None
