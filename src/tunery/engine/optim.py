"""The weights that train: masters in fp32, one flat tensor per group, and AdamW over them.

The model computes with a shadow of the masters in its own dtype, one flat tensor too; where that is fp32 the
shadow is the master. Gradients of a step's only batch stay as they came; those of several add up in fp32 whatever
the shadow's dtype is.
"""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import torch

from tunery.engine import rowwise

_ALIGN = 64
"""Elements; keeps every weight on a cache line of its own, as the matrix kernels like it."""
_PART = 2**18
"""Elements that one stroke of torch's optimizer takes: what it reads and writes of them fits in the cache."""
_BETAS = (0.9, 0.999)
_EPSILON = 1e-8
_adamw = torch.ops.aten._fused_adamw_.default


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
        self.master = torch.zeros(size)
        self.memory = {name: torch.zeros(size) for name in ("exp_avg", "exp_avg_sq")}
        self.shadow = self.master if dtype == torch.float32 else torch.zeros(size, dtype=dtype)
        self._gathered: dict[str, torch.Tensor] = {}
        for place, (_, parameter) in zip(self.places, parameters, strict=True):
            self.view(self.master, place).copy_(parameter.data)
            parameter.data = self.view(self.shadow, place)
            self._gather(parameter, place)
        self.refresh()

    @staticmethod
    def view(flat: torch.Tensor, place: Place) -> torch.Tensor:
        return flat[place.start : place.stop].view(place.shape)

    def _gather(self, parameter: torch.nn.Parameter, place: Place) -> None:
        def gather(parameter: torch.Tensor) -> None:
            new, parameter.grad = parameter.grad, None
            assert new is not None
            before = self._gathered.get(place.name)
            self._gathered[place.name] = new if before is None else before.float().add_(new)

        parameter.register_post_accumulate_grad_hook(gather)

    def forget(self) -> None:
        """Start gathering gradients anew."""
        self._gathered.clear()

    def squares(self) -> float:
        """The sum of all gathered gradients' squares."""
        if rowwise.LIBRARY is not None:
            return rowwise.squares(self._weights())
        return sum(float(part.norm()) ** 2 for part, _ in self._parts())

    def _weights(self) -> list[rowwise.Weight]:
        found = ((place, self._gathered.get(place.name)) for place in self.places)
        return [
            rowwise.Weight(place.start, place.stop - place.start, None if one is None else _readable(one))
            for place, one in found
        ]

    def _parts(self) -> Iterator[tuple[torch.Tensor, slice]]:
        """Gradients in fp32, a part at a time, and where it lies; zero where nothing depended on a weight."""
        for place in self.places:
            gradient = self._gathered.get(place.name)
            for at in range(place.start, place.stop, _PART):
                part = slice(at, min(at + _PART, place.stop))
                if gradient is None:
                    yield torch.zeros(part.stop - part.start), part
                else:
                    flat = gradient.reshape(-1)
                    yield flat[part.start - place.start : part.stop - place.start].float(), part

    def refresh(self) -> None:
        """Bring the shadow up to the masters."""
        if self.shadow is not self.master:
            self.shadow.copy_(self.master)

    def step(self, step: int, rate: float, divisor: float, weight_decay: float) -> None:
        """AdamW on the gradient over `divisor`, and the shadow with it, while a part is in the cache."""
        mean, square = self.memory.values()
        shadow = None if self.shadow is self.master else self.shadow
        if rowwise.LIBRARY is not None and (shadow is None or shadow.dtype == torch.bfloat16):
            rowwise.adamw(
                self._weights(), self.master, mean, square, shadow,
                rowwise.Step.after(step, rate, divisor, weight_decay, _BETAS, _EPSILON),
            )  # fmt: skip
            return
        for gradient, part in self._parts():
            _adamw(
                [self.master[part]],
                [gradient],
                [mean[part]],
                [square[part]],
                [],
                [torch.tensor(float(step))],
                lr=rate,
                beta1=_BETAS[0],
                beta2=_BETAS[1],
                weight_decay=weight_decay,
                eps=_EPSILON,
                amsgrad=False,
                maximize=False,
                grad_scale=torch.tensor(divisor),
            )
            if shadow is not None:
                shadow[part].copy_(self.master[part])


def _readable(gradient: torch.Tensor) -> torch.Tensor:
    """As compiled code reads it: bf16 or fp32, row after row."""
    kinds = (torch.bfloat16, torch.float32)
    return (gradient if gradient.dtype in kinds else gradient.float()).contiguous()


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
        self._weight_decay = weight_decay
        self._max_grad_norm = max_grad_norm
        self._step = 0

    def gradient_norm(self, weight: float) -> float:
        """Norm of the gradient of the mean loss; gradients hold the sum over `weight` tokens."""
        return math.sqrt(sum(group.squares() for group in self.groups)) / weight

    def step(self, learning_rate: float, weight: float, norm: float) -> None:
        """One step on the mean of the gathered gradients, then start gathering anew."""
        divisor = weight
        if 0 < self._max_grad_norm < norm:
            divisor *= norm / self._max_grad_norm
        self._step += 1
        for group in self.groups:
            # Biases and norms are few and meant to be where they are: only matrices decay.
            decay = self._weight_decay if len(group.places[0].shape) >= 2 else 0.0
            group.step(self._step, learning_rate, divisor, decay)
        self.forget_gradients()

    def forget_gradients(self) -> None:
        """Start gathering anew."""
        for group in self.groups:
            group.forget()

    def masters(self) -> dict[str, torch.Tensor]:
        """The trained weights in fp32, by their name in the model."""
        return {p.name: g.view(g.master, p) for g in self.groups for p in g.places}

    def load_masters(self, stored: dict[str, torch.Tensor]) -> None:
        """Put back what `masters` gave."""
        for name, view in self.masters().items():
            view.copy_(stored[name])
        for group in self.groups:
            group.refresh()

    def state(self) -> dict[str, torch.Tensor]:
        """AdamW's memory, by weight; empty before the first step."""
        if not self._step:
            return {}
        return self._memories()

    def _memories(self) -> dict[str, torch.Tensor]:
        return {
            f"{key}/{place.name}": group.view(memory, place)
            for group in self.groups
            for key, memory in group.memory.items()
            for place in group.places
        }

    def load_state(self, stored: dict[str, torch.Tensor], steps: int) -> None:
        """Put back what `state` gave after `steps` steps."""
        for name, view in self._memories().items():
            view.copy_(stored[name])
        self._step = steps
