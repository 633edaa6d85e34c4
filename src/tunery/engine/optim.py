"""The weights that train: masters in fp32, one flat tensor per group, and AdamW over them.

The model computes with a shadow of the masters in its own dtype, one flat tensor too; where that is fp32 the
shadow is the master. Gradients of all batches of a step gather in fp32 whatever the shadow's dtype is.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch

_ALIGN = 64
"""Elements; keeps every weight on a cache line of its own, as the matrix kernels like it."""


@dataclass(frozen=True)
class Place:
    """Where one weight lies in its group's flat tensors."""

    name: str
    shape: tuple[int, ...]
    start: int

    @property
    def stop(self) -> int:
        return self.start + math.prod(self.shape)


class Group:
    """Weights that share a weight decay."""

    def __init__(self, named: Iterable[tuple[str, torch.nn.Parameter]], dtype: torch.dtype) -> None:
        self.places: list[Place] = []
        parameters = list(named)
        size = 0
        for name, parameter in parameters:
            self.places.append(Place(name, tuple(parameter.shape), size))
            size += -(-parameter.numel() // _ALIGN) * _ALIGN
        self.master = torch.nn.Parameter(torch.zeros(size))
        self.gradient = torch.zeros(size)
        self.shadow = self.master.data if dtype == torch.float32 else torch.zeros(size, dtype=dtype)
        for place, (_, parameter) in zip(self.places, parameters, strict=True):
            self.view(self.master.data, place).copy_(parameter.data)
            parameter.data = self.view(self.shadow, place)
            self._gather(parameter, self.view(self.gradient, place))
        self.refresh()

    @staticmethod
    def view(flat: torch.Tensor, place: Place) -> torch.Tensor:
        return flat[place.start : place.stop].view(place.shape)

    def _gather(self, parameter: torch.nn.Parameter, into: torch.Tensor) -> None:
        if parameter.dtype == torch.float32:
            parameter.grad = into
            return

        def add(parameter: torch.Tensor) -> None:
            assert parameter.grad is not None
            into.add_(parameter.grad)
            parameter.grad = None

        parameter.register_post_accumulate_grad_hook(add)

    def refresh(self) -> None:
        """Bring the shadow up to the masters."""
        if self.shadow.dtype != torch.float32:
            self.shadow.copy_(self.master.data)


class Optimizer:
    """AdamW, a learning rate by schedule, one norm over all gradients."""

    def __init__(
        self,
        model: torch.nn.Module,
        dtype: torch.dtype,
        *,
        weight_decay: float,
        max_grad_norm: float,
        exact: Sequence[str] = (),
    ) -> None:
        """`exact` names modules that compute in fp32, besides those that the family wants so."""
        exact = (*exact, *(getattr(model, "_keep_in_fp32_modules_strict", None) or ()))
        kinds: dict[tuple[torch.dtype, bool], list[tuple[str, torch.nn.Parameter]]] = {}
        for name, parameter in model.named_parameters():
            if parameter.requires_grad:
                shadow = torch.float32 if any(part in name for part in exact) else dtype
                kinds.setdefault((shadow, parameter.ndim >= 2), []).append((name, parameter))
        self.groups = [Group(named, shadow) for (shadow, _), named in kinds.items()]
        self._adam = torch.optim.AdamW(
            # Biases and norms are few and meant to be where they are: only matrices decay.
            [
                {"params": [g.master], "weight_decay": weight_decay if len(g.places[0].shape) >= 2 else 0.0}
                for g in self.groups
            ],
            fused=True,
        )
        self._max_grad_norm = max_grad_norm

    def gradient_norm(self, weight: float) -> float:
        """Norm of the gradient of the mean loss; gradients hold the sum over `weight` tokens."""
        squares = sum(float(group.gradient.norm()) ** 2 for group in self.groups)
        return math.sqrt(squares) / weight

    def step(self, learning_rate: float, weight: float, norm: float) -> None:
        """One step on the mean of the gathered gradients, then start gathering anew."""
        scale = 1.0 / weight
        if 0 < self._max_grad_norm < norm:
            scale *= self._max_grad_norm / norm
        for group, options in zip(self.groups, self._adam.param_groups, strict=True):
            options["lr"] = learning_rate
            group.master.grad = group.gradient.mul_(scale)
        self._adam.step()
        for group in self.groups:
            group.gradient.zero_()
            group.refresh()

    def masters(self) -> dict[str, torch.Tensor]:
        """The trained weights in fp32, by their name in the model."""
        return {p.name: g.view(g.master.data, p) for g in self.groups for p in g.places}

    def load_masters(self, stored: dict[str, torch.Tensor]) -> None:
        """Put back what `masters` gave."""
        for name, view in self.masters().items():
            view.copy_(stored[name])
        for group in self.groups:
            group.refresh()

    def state(self) -> dict[str, torch.Tensor]:
        """AdamW's memory, by weight; empty before the first step."""
        return {
            f"{key}/{place.name}": group.view(memory, place)
            for group in self.groups
            for key, memory in self._adam.state.get(group.master, {}).items()
            if key != "step"
            for place in group.places
        }

    def load_state(self, stored: dict[str, torch.Tensor], steps: int) -> None:
        """Put back what `state` gave after `steps` steps."""
        for group in self.groups:
            memory = {key: torch.zeros_like(group.master.data) for key in ("exp_avg", "exp_avg_sq")}
            for key, flat in memory.items():
                for place in group.places:
                    group.view(flat, place).copy_(stored[f"{key}/{place.name}"])
            self._adam.state[group.master] = {"step": torch.tensor(float(steps)), **memory}
