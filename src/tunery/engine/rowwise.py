"""The compiled work on rows of bf16 matrices (`_rowwise.c`), its derivatives, and AdamW. It knows no model.

Each does in one go over its rows what takes several of torch's, and keeps less for the way back. Numbers are fp32
within and rounded once. Where the library couldn't be built, `LIBRARY` is None and callers do without.
"""

import ctypes
import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch.autograd.function import once_differentiable

from tunery.engine import tiles
from tunery.engine.compiled import load_library

PARTS = 32
"""In how many sums the gradient of a norm's weights is taken, whatever the number of threads."""


def _load() -> ctypes.CDLL | None:
    library = load_library("_rowwise.so")
    if library is None:
        return None
    matrix, count, number, flag = ctypes.c_void_p, ctypes.c_int64, ctypes.c_float, ctypes.c_int
    for name, kinds in {
        "norm_forward": [matrix] * 4 + [count] * 2 + [number] * 2,
        "norm_backward": [matrix] * 6 + [count] * 3 + [number],
        "gate_forward": [matrix] * 3 + [count],
        "gate_backward": [matrix] * 6 + [count],
        "rotate": [matrix] * 4 + [count] * 7 + [flag],
        "softmax_forward": [matrix] * 2 + [count] * 4,
        "softmax_backward": [matrix] * 2 + [count] * 2,
        "loss_rows": [matrix] * 4 + [count] * 2 + [flag],
        "squares": [matrix, count, matrix, matrix],
        "adamw": [matrix, count, *[matrix] * 6],
    }.items():
        function = getattr(library, name)
        function.argtypes, function.restype = kinds, None
    library.squares.restype = ctypes.c_double
    return library


LIBRARY = _load()


def takes(*tensors: torch.Tensor) -> bool:
    """Whether the library works on these: bf16 in the processor's memory."""
    return LIBRARY is not None and all(x.dtype == torch.bfloat16 and x.device.type == "cpu" for x in tensors)


def _call(name: str, *given: torch.Tensor | float | None) -> None:
    assert LIBRARY is not None
    getattr(LIBRARY, name)(*(x.data_ptr() if isinstance(x, torch.Tensor) else x for x in given))


class _Norm(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, weight_D: torch.Tensor, eps: float, more: float) -> torch.Tensor:
        x = x.contiguous()
        rows, width = x.numel() // x.shape[-1], x.shape[-1]
        y, scale_R = torch.empty_like(x), torch.empty(rows)
        _call("norm_forward", x, weight_D, y, scale_R, rows, width, eps, more)
        ctx.save_for_backward(x, weight_D, scale_R)
        ctx.more = more
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: torch.Tensor) -> tuple[torch.Tensor | None, ...]:  # pyright: ignore[reportIncompatibleMethodOverride]
        x, weight_D, scale_R = ctx.saved_tensors
        grad, dx = grad.contiguous(), torch.empty_like(x)
        width = x.shape[-1]
        parts_PD = torch.zeros(PARTS, width)
        _call("norm_backward", x, weight_D, grad, scale_R, dx, parts_PD, PARTS, len(scale_R), width, ctx.more)
        return dx, parts_PD.sum(0).to(weight_D.dtype), None, None


def norm(x: torch.Tensor, weight_D: torch.Tensor, eps: float, more: float = 0.0) -> torch.Tensor:
    """(weight + more) * x / sqrt(mean(x^2) + eps) over the last dimension (Zhang and Sennrich 2019, eq. 4)."""
    return _Norm.apply(x, weight_D, eps, more)  # pyright: ignore[reportReturnType]


def _gated(gate: torch.Tensor, up: torch.Tensor) -> torch.Tensor:
    y = torch.empty_like(gate)
    _call("gate_forward", gate, up, y, gate.numel())
    return y


def _gate_backward(
    gate: torch.Tensor, up: torch.Tensor, grad: torch.Tensor, again: torch.Tensor | None = None
) -> tuple[torch.Tensor, torch.Tensor]:
    """Both gradients; `again` is filled with the gate's product."""
    grad, dgate, dup = grad.contiguous(), torch.empty_like(gate), torch.empty_like(up)
    _call("gate_backward", gate, up, grad, again, dgate, dup, gate.numel())
    return dgate, dup


class _Gate(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, gate: torch.Tensor, up: torch.Tensor) -> torch.Tensor:
        gate, up = gate.contiguous(), up.contiguous()
        ctx.save_for_backward(gate, up)
        return _gated(gate, up)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:  # pyright: ignore[reportIncompatibleMethodOverride]
        gate, up = ctx.saved_tensors
        return _gate_backward(gate, up, grad)


def gate(gate: torch.Tensor, up: torch.Tensor) -> torch.Tensor:
    """silu(gate) * up (Shazeer 2020, SwiGLU)."""
    return _Gate.apply(gate, up)  # pyright: ignore[reportReturnType]


class _GatedProduct(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, gate: torch.Tensor, up: torch.Tensor, weight_OI: torch.Tensor) -> torch.Tensor:
        gate, up = gate.contiguous(), up.contiguous()
        ctx.save_for_backward(gate, up, weight_OI)
        return _gated(gate, up) @ weight_OI.mT

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: torch.Tensor) -> tuple[torch.Tensor | None, ...]:  # pyright: ignore[reportIncompatibleMethodOverride]
        gate, up, weight_OI = ctx.saved_tensors
        y = torch.empty_like(gate) if ctx.needs_input_grad[2] else None
        dgate, dup = _gate_backward(gate, up, grad @ weight_OI, y)
        weight = None
        if y is not None:
            weight = tiles.product(grad.flatten(0, -2).mT, y.flatten(0, -2))
        return dgate, dup, weight


def gated_product(gate: torch.Tensor, up: torch.Tensor, weight_OI: torch.Tensor) -> torch.Tensor:
    """(silu(gate) * up) @ weight.T, with the first factor made again on the way back instead of kept."""
    return _GatedProduct.apply(gate, up, weight_OI)  # pyright: ignore[reportReturnType]


class _Rotated(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x_1HTD: torch.Tensor, cos_TD: torch.Tensor, sin_TD: torch.Tensor) -> torch.Tensor:
        ctx.save_for_backward(cos_TD, sin_TD)
        return _rotate(x_1HTD, cos_TD, sin_TD, torch.empty(x_1HTD.shape, dtype=x_1HTD.dtype), back=False)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_1HTD: torch.Tensor) -> tuple[torch.Tensor, None, None]:  # pyright: ignore[reportIncompatibleMethodOverride]
        _, heads, tokens, width = grad_1HTD.shape
        # As what comes before it lies: heads beside one another in each token's row.
        out = grad_1HTD.new_empty(1, tokens, heads, width).transpose(1, 2)
        cos_TD, sin_TD = ctx.saved_tensors
        return _rotate(grad_1HTD, cos_TD, sin_TD, out, back=True), None, None


def _rotate(
    x_1HTD: torch.Tensor, cos_TD: torch.Tensor, sin_TD: torch.Tensor, out_1HTD: torch.Tensor, *, back: bool
) -> torch.Tensor:
    if x_1HTD.stride(3) != 1:
        x_1HTD = x_1HTD.contiguous()
    _, heads, tokens, width = x_1HTD.shape
    strides = (*x_1HTD.stride()[1:3], *out_1HTD.stride()[1:3])
    _call("rotate", x_1HTD, cos_TD, sin_TD, out_1HTD, heads, tokens, width, *strides, back)
    return out_1HTD


def rotate(x_1HTD: torch.Tensor, cos_TD: torch.Tensor, sin_TD: torch.Tensor) -> torch.Tensor:
    """Each head's halves turned by its token's angles (Su et al. 2021, eq. 34), heads one after another."""
    return _Rotated.apply(x_1HTD, cos_TD.contiguous(), sin_TD.contiguous())  # pyright: ignore[reportReturnType]


def softmax(scores_CRS: torch.Tensor, rows: int, window: int | None) -> torch.Tensor:
    """Probabilities in the place of scores: rows are queries, in turns of `rows`, the last of the S keys' tokens.

    A query sees no later key, and of the others the newest `window`.
    """
    keys = scores_CRS.shape[-1]
    work = torch.empty(torch.get_num_threads(), keys)
    count = scores_CRS.numel() // keys
    _call("softmax_forward", scores_CRS, work, count, rows, keys, window or keys)
    return scores_CRS


def softmax_backward(p: torch.Tensor, grad: torch.Tensor) -> torch.Tensor:
    """Gradients of scores in the place of those of their probabilities."""
    _call("softmax_backward", p, grad, p.numel() // p.shape[-1], p.shape[-1])
    return grad


def losses(logits_RV: torch.Tensor, targets_R: torch.Tensor, nll_R: torch.Tensor, wanted: bool) -> None:
    """Write each row's negative log-likelihood; where `wanted`, its logits become what they err by."""
    rows, width = logits_RV.shape
    work = torch.empty(torch.get_num_threads(), width)
    _call("loss_rows", logits_RV, targets_R.contiguous(), nll_R, work, rows, width, wanted)


class Weight(NamedTuple):
    """Where a weight lies in the flat tensors of all, and its gradient (bf16 or fp32; None = zero)."""

    start: int
    numbers: int
    gradient: torch.Tensor | None


class Step(ctypes.Structure):
    """What AdamW does to each number, besides what is its own."""

    _fields_ = tuple(
        (name, ctypes.c_float) for name in ("kept", "rate", "root", "epsilon", "beta1", "beta2", "factor")
    )

    @classmethod
    def after(
        cls, steps: int, rate: float, divisor: float, decay: float, betas: tuple[float, float], epsilon: float
    ) -> "Step":
        """The one numbered `steps`, from 1 (Loshchilov and Hutter 2019, algorithm 2)."""
        first, second = (1 - beta**steps for beta in betas)
        return cls(1 - rate * decay, rate / first, 1 / math.sqrt(second), epsilon, *betas, 1 / divisor)


_STRETCH = 2**15
"""Numbers that are counted through at a time, as in the compiled code."""


def _table(weights: Sequence[Weight]) -> torch.Tensor:
    rows = [
        (
            one.start,
            one.numbers,
            *(
                (0, 0)
                if one.gradient is None
                else (one.gradient.data_ptr(), one.gradient.dtype == torch.bfloat16)
            ),
        )
        for one in weights
    ]
    return torch.tensor(rows, dtype=torch.int64)


def squares(weights: Sequence[Weight]) -> float:
    """The sum of all gradients' squares."""
    assert LIBRARY is not None
    firsts = torch.empty(len(weights) + 1, dtype=torch.int64)
    sums = torch.empty(sum(-(-one.numbers // _STRETCH) for one in weights), dtype=torch.float64)
    table = _table(weights)
    return LIBRARY.squares(table.data_ptr(), len(weights), firsts.data_ptr(), sums.data_ptr())


def adamw(
    weights: Sequence[Weight], master: torch.Tensor, mean: torch.Tensor, square: torch.Tensor,
    shadow: torch.Tensor | None, step: Step,
) -> None:  # fmt: skip
    """One step on flat fp32 masters and their memory; the shadow becomes what they are in bf16."""
    assert LIBRARY is not None
    firsts, table = torch.empty(len(weights) + 1, dtype=torch.int64), _table(weights)
    flats = [
        master.data_ptr(),
        mean.data_ptr(),
        square.data_ptr(),
        shadow.data_ptr() if shadow is not None else None,
    ]
    LIBRARY.adamw(table.data_ptr(), len(weights), firsts.data_ptr(), *flats, ctypes.addressof(step))
