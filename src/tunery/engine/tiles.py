"""Compiled products and causal attention (`_product.c`, `_attention.c`) for processors that multiply tiles of bf16.

Where the library couldn't be built, or the processor has no tiles, `LIBRARY` is None and torch does it. It knows no
model.
"""

import ctypes
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import torch

from tunery.engine.compiled import load_library

WIDEST = 512
"""Numbers of a head's token, at most."""
_UNBOUND = 1 << 40
"""A window that holds everything."""


class Piece(NamedTuple):
    """A run of queries, and the keys they may see: those of a trunk before them, then their own up to each."""

    start: int
    length: int
    trunk: int
    shared: int
    """Tokens of the trunk; 0 = none, and a new example."""


class _Task(ctypes.Structure):
    _fields_ = (
        ("pieces", ctypes.c_void_p),
        *(
            (name, ctypes.c_int64)
            for name in ("count", "heads", "key_heads", "width", "value_width", "window")
        ),
        ("scale", ctypes.c_float),
    )


class _Heads(ctypes.Structure):
    _fields_ = (("x", ctypes.c_void_p), ("head", ctypes.c_int64), ("token", ctypes.c_int64))


def _load() -> ctypes.CDLL | None:
    library = load_library("_tiles.so")
    if library is None or not library.usable():
        return None
    task, heads, pointer, count = (
        ctypes.POINTER(_Task), ctypes.POINTER(_Heads), ctypes.c_void_p, ctypes.c_int64,
    )  # fmt: skip
    matrix = [pointer, count, ctypes.c_int]
    library.product.argtypes = [*matrix, *matrix, pointer, *[count] * 4, ctypes.c_float, ctypes.c_int]
    library.attention_room.argtypes, library.attention_room.restype = [pointer, *[count] * 4], count
    library.attention_forward.argtypes = [task, *[heads] * 3, pointer, pointer, count, pointer]
    library.attention_backward.argtypes = [task, *[heads] * 8, pointer, count]
    library.product.restype = library.attention_forward.restype = library.attention_backward.restype = None
    return library


LIBRARY = _load()


def multiplies(*matrices: torch.Tensor) -> bool:
    """Whether the library multiplies these: bf16 in the processor's memory."""
    return LIBRARY is not None and all(x.dtype == torch.bfloat16 and x.device.type == "cpu" for x in matrices)


def product(
    left_MK: torch.Tensor, right_KN: torch.Tensor, factor: float = 1.0, onto: torch.Tensor | None = None
) -> torch.Tensor:
    """factor * left @ right, or that added to what is in `onto`. What one of the two has beside its numbers is turned.

    Quicker than torch's where the shared dimension is long or one of the others is short.
    """
    given = (left_MK, right_KN) if onto is None else (left_MK, right_KN, onto)
    if not multiplies(*given):
        return _by_torch(left_MK, right_KN, factor, onto)
    assert LIBRARY is not None
    (rows, depth), columns = left_MK.shape, right_KN.shape[1]
    out = left_MK.new_empty(rows, columns) if onto is None else onto
    if not depth:
        return out if onto is not None else out.zero_()
    assert out.stride(1) == 1
    (left, *how_left), (right, *how_right) = _lies(left_MK), _lies(right_KN.mT)
    LIBRARY.product(
        left.data_ptr(), *how_left, right.data_ptr(), *how_right, out.data_ptr(), out.stride(0),
        rows, columns, depth, factor, onto is not None,
    )  # fmt: skip
    return out


def _by_torch(
    left_MK: torch.Tensor, right_KN: torch.Tensor, factor: float, onto: torch.Tensor | None
) -> torch.Tensor:
    if onto is not None:
        return onto.addmm_(left_MK, right_KN, alpha=factor)
    made = left_MK @ right_KN
    return made if factor == 1.0 else made * factor


def _lies(x_SK: torch.Tensor) -> tuple[torch.Tensor, int, bool]:
    """The matrix, how far its rows (or, where it is turned, its columns) are apart, and whether it is turned."""
    if x_SK.stride(1) != 1 and x_SK.stride(0) != 1:
        x_SK = x_SK.contiguous()
    turned = x_SK.stride(1) != 1
    return x_SK, x_SK.stride(1 if turned else 0), turned


def attends(q_HTD: torch.Tensor, v_KTD: torch.Tensor) -> bool:
    """Whether the library attends with such heads."""
    return multiplies(q_HTD, v_KTD) and max(q_HTD.shape[2], v_KTD.shape[2]) <= WIDEST


def attend(
    q_HTD: torch.Tensor, k_KTD: torch.Tensor, v_KTD: torch.Tensor,
    pieces: tuple[Piece, ...], scale: float, window: int | None,
) -> tuple[torch.Tensor, torch.Tensor]:  # fmt: skip
    """What comes out [T, H, D], and for the way back each query's logarithm of the sum over its keys [H, T]."""
    assert LIBRARY is not None
    (heads, tokens, _), width = q_HTD.shape, v_KTD.shape[2]
    task = _task(pieces, q_HTD, k_KTD, v_KTD, scale, window)
    out_THD, logs_HT = q_HTD.new_empty(tokens, heads, width), torch.empty(heads, tokens)
    size = LIBRARY.attention_room(task.pieces, task.count, task.key_heads, task.width, task.value_width)
    room = torch.empty(size, dtype=torch.uint8)
    given = [_heads(x) for x in (q_HTD, k_KTD, v_KTD)]
    LIBRARY.attention_forward(task, *given, out_THD.data_ptr(), logs_HT.data_ptr(), tokens, room.data_ptr())
    return out_THD, logs_HT


def attend_back(
    saved: Sequence[torch.Tensor], grad_THD: torch.Tensor,
    pieces: tuple[Piece, ...], scale: float, window: int | None,
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:  # fmt: skip
    """Gradients of queries, keys and values, tokens lying one after another; `saved`: those, and what `attend` gave."""
    assert LIBRARY is not None
    q_HTD, k_KTD, v_KTD, out_THD, logs_HT = saved
    task = _task(pieces, q_HTD, k_KTD, v_KTD, scale, window)
    made = [x.new_empty(x.shape[1], x.shape[0], x.shape[2]).transpose(0, 1) for x in saved[:3]]
    inputs = (q_HTD, k_KTD, v_KTD, out_THD.transpose(0, 1), grad_THD.contiguous().transpose(0, 1))
    LIBRARY.attention_backward(
        task, *(_heads(x) for x in (*inputs, *made)), logs_HT.data_ptr(), q_HTD.shape[1]
    )
    return made[0], made[1], made[2]


def _heads(x_HTD: torch.Tensor) -> _Heads:
    return _Heads(x_HTD.data_ptr(), x_HTD.stride(0), x_HTD.stride(1))


@lru_cache(4)
def _table(pieces: tuple[Piece, ...]) -> torch.Tensor:
    return torch.tensor(pieces, dtype=torch.int64)


def _task(
    pieces: tuple[Piece, ...], q_HTD: torch.Tensor, k_KTD: torch.Tensor, v_KTD: torch.Tensor,
    scale: float, window: int | None,
) -> Any:  # fmt: skip
    table = _table(pieces)
    task = _Task(
        table.data_ptr(), len(pieces), q_HTD.shape[0], k_KTD.shape[0], q_HTD.shape[2], v_KTD.shape[2],
        window or _UNBOUND, scale,
    )  # fmt: skip
    task.keeps = table
    return task
