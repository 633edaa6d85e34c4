"""Linear layers with their LoRA beside them as one function (Hu et al. 2021, eq. 3): y = x W' + b + s (d(x) A') B'.

PEFT's own takes a pass over the whole output for the scale, one for the sum, and keeps both for the way back; here
the low-rank product is added while it is made, and layers that read the same input share what they do with it. It
knows no method and no model.
"""

from types import MethodType
from typing import Any, NamedTuple

import torch
from peft.tuners.lora.layer import Linear
from torch.autograd.function import once_differentiable

from tunery.engine import tiles

_READ_THE_SAME = (("q_proj", "k_proj", "v_proj"), ("gate_proj", "up_proj"))


def join_adapters(model: torch.nn.Module) -> None:
    """Let every plain LoRA layer compute so; those of other kinds keep their own."""
    for layer in model.modules():
        if _is_plain(layer):
            layer.forward = MethodType(_forward, layer)
    for parent in list(model.modules()):
        for names in _READ_THE_SAME:
            layers = [getattr(parent, name, None) for name in names]
            if all(_is_plain(layer) for layer in layers):
                _Siblings(layers)


def _is_plain(layer: Any) -> bool:
    return type(layer) is Linear and type(layer.base_layer) is torch.nn.Linear and not layer.lora_variant


class _Adapted(NamedTuple):
    weight_OI: torch.Tensor
    bias_O: torch.Tensor | None
    a_RI: torch.Tensor
    b_OR: torch.Tensor
    scale: float


def _adapted(layer: Any, x: torch.Tensor) -> _Adapted | None:
    """What the layer computes with, if that is what is computed here."""
    adapter, base = layer.active_adapters[0], layer.base_layer
    a, b = layer.lora_A[adapter].weight, layer.lora_B[adapter].weight
    if len(layer.active_adapters) != 1 or layer.disable_adapters or layer.merged:
        return None
    if not x.dtype == base.weight.dtype == a.dtype == b.dtype:
        return None
    return _Adapted(base.weight, base.bias, a, b, layer.scaling[adapter])


def _drops(layer: Any) -> Any:
    dropout = layer.lora_dropout[layer.active_adapters[0]]
    return dropout if layer.training and isinstance(dropout, torch.nn.Dropout) else None


def _forward(layer: Any, x: torch.Tensor, *given: Any, **named: Any) -> torch.Tensor:
    found = None if given or named else _adapted(layer, x)
    if found is None:
        return Linear.forward(layer, x, *given, **named)
    dropout = _drops(layer)
    return _Joined.apply(x, dropout(x) if dropout else None, *found)  # pyright: ignore[reportReturnType]


class _Siblings:
    """Layers that are called one after another with the same input: the first call does the work of all."""

    def __init__(self, layers: list[Any]) -> None:
        self._layers, self._together = layers, True
        self._input: torch.Tensor | None = None
        self._made: dict[int, torch.Tensor] = {}
        for number, layer in enumerate(layers):
            layer.forward = MethodType(self._forward_of(number), layer)

    def _forward_of(self, number: int) -> Any:
        def forward(layer: Any, x: torch.Tensor, *given: Any, **named: Any) -> torch.Tensor:
            if self._together and not (given or named):
                if number == 0:
                    self._make(x)
                elif self._made and self._input is not x:
                    self._together = False  # they read the same in no model of this kind
                if self._input is x and number in self._made:
                    made = self._made.pop(number)
                    if not self._made:
                        self._input = None
                    return made
            return _forward(layer, x, *given, **named)

        return forward

    def _make(self, x: torch.Tensor) -> None:
        found = [None if _drops(layer) else _adapted(layer, x) for layer in self._layers]
        self._input, self._made = None, {}
        if all(one is not None for one in found):
            scales = tuple(one.scale for one in found if one is not None)
            tensors = [tensor for one in found if one is not None for tensor in one[:4]]
            self._input, self._made = x, dict(enumerate(_Several.apply(x, scales, *tensors)))  # pyright: ignore[reportArgumentType]


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
        b = _of_b(low_TR, along, ctx.scale) if ctx.needs_input_grad[5] else None
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


def _of_b(low_TR: torch.Tensor, along_TO: torch.Tensor, scale: float) -> torch.Tensor:
    """The gradient of B. Made turned, for then only what is narrow is brought into another order."""
    return tiles.product(low_TR.mT, along_TO, scale).mT


class _Several(torch.autograd.Function):
    """The same for layers that read one input, without dropout: of each its weights, bias, A and B."""

    @staticmethod
    def forward(
        ctx: Any, x: torch.Tensor, scales: tuple[float, ...], *tensors: torch.Tensor
    ) -> tuple[torch.Tensor, ...]:
        x_TI, (weights, biases, all_a, all_b) = x.flatten(0, -2), (tensors[at::4] for at in range(4))
        a_RI = torch.cat(all_a)
        low_TR = tiles.product(x_TI, a_RI.mT)
        made: list[torch.Tensor] = []
        for weight, bias, low, b, scale in zip(
            weights, biases, _ranks(low_TR, all_b), all_b, scales, strict=True
        ):
            y = torch.nn.functional.linear(x, weight, bias)
            tiles.product(low, b.mT, scale, onto=y.view(-1, y.shape[-1]))
            made.append(y)
        ctx.save_for_backward(x_TI, low_TR, a_RI, *weights, *all_b)
        ctx.scales, ctx.shape = scales, x.shape
        ctx.set_materialize_grads(False)
        return tuple(made)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: torch.Tensor | None) -> tuple[torch.Tensor | None, ...]:  # pyright: ignore[reportIncompatibleMethodOverride]
        x_TI, low_TR, a_RI, *rest = ctx.saved_tensors
        weights, all_b = rest[: len(grads)], rest[len(grads) :]
        back_TR, x = torch.zeros_like(low_TR), None
        of_b: list[torch.Tensor | None] = []
        parts = zip(
            grads, weights, all_b, _ranks(low_TR, all_b), _ranks(back_TR, all_b), ctx.scales, strict=True
        )
        for grad, weight, b, low, back, scale in parts:
            if grad is None:
                of_b.append(None)
                continue
            along = grad.flatten(0, -2)
            tiles.product(along, b, scale, onto=back)
            of_b.append(_of_b(low, along, scale))
            if ctx.needs_input_grad[0]:
                x = along @ weight if x is None else x.addmm_(along, weight)
        if x is not None:
            x = tiles.product(back_TR, a_RI, onto=x).view(ctx.shape)
        of_a = _ranks(tiles.product(back_TR.mT, x_TI).mT, all_b)
        layers = ((None, None, a.mT, b) for a, b in zip(of_a, of_b, strict=True))
        return x, None, *(gradient for layer in layers for gradient in layer)


def _ranks(all_XR: torch.Tensor, all_b: Any) -> tuple[torch.Tensor, ...]:
    """Each layer's columns."""
    return all_XR.split([b.shape[1] for b in all_b], 1)
