"""Attention without a mask, by tiles and by torch: what one with a mask gives, up to the rounding of bf16."""

import ctypes
from pathlib import Path

import pytest
import torch
from torch import Tensor

from tunery.engine import tiles
from tunery.engine.attention import segment_attention

from .test_rowwise import ROUNDED, apart

KINDS = ("tiles", "torch") if tiles.LIBRARY is not None else ("torch",)
CASES: dict[str, tuple[tuple[int, int, int, int], tuple[tuple[int, ...], ...], int | None]] = {
    "one token": ((2, 2, 64, 64), ((0, 1),), None),
    "borders of tiles": ((2, 1, 64, 64), ((0, 31), (0, 32), (0, 33), (0, 64)), None),
    "more than a group of queries": ((6, 2, 64, 64), ((0, 700), (0, 300), (0, 17)), None),
    "narrow": ((4, 2, 16, 16), ((0, 70), (0, 1)), None),
    "odd widths": ((4, 4, 40, 24), ((0, 70), (0, 129)), None),
    "wide": ((2, 1, 256, 256), ((0, 90),), None),
    "window": ((4, 2, 64, 64), ((0, 300), (0, 20)), 64),
    "window beside tiles": ((2, 2, 32, 32), ((0, 600),), 101),
    "branches": ((4, 2, 64, 64), ((50, 20, 30, 40), (0, 5), (64, 64, 64)), None),
    "branches and a window": ((4, 2, 32, 32), ((50, 20, 330, 40), (0, 5), (64, 64, 64)), 30),
}


def drawn(*shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(sum(shape))).bfloat16()


def given(heads: int, key_heads: int, width: int, value_width: int, tokens: int) -> list[Tensor]:
    """Queries and keys lie head by head, as a rotation leaves them, values token by token, as a layer does."""
    values = drawn(1, tokens, key_heads, value_width).transpose(1, 2)
    return [drawn(1, heads, tokens, width), drawn(1, key_heads, tokens, width), values]


def masked(
    q: Tensor, k: Tensor, v: Tensor, shapes: tuple[tuple[int, ...], ...], window: int | None
) -> Tensor:
    """The same with all scores at once, in fp32."""
    tokens, sharing = q.shape[2], q.shape[1] // k.shape[1]
    sees = torch.zeros(tokens, tokens, dtype=torch.bool)
    at = 0
    for trunk, *branches in shapes:
        start, at = at, at + trunk
        for length in branches:
            path = torch.tensor([*range(start, start + trunk), *range(at, at + length)])
            far = torch.arange(len(path))[:, None] - torch.arange(len(path))[None, :]
            sees[path[:, None], path] |= (far >= 0) & (far < (window or tokens + 1))
            at += length
    k, v = (x.repeat_interleave(sharing, 1) for x in (k, v))
    scores = (q @ k.mT * q.shape[-1] ** -0.5).masked_fill(~sees, float("-inf"))
    return (scores.softmax(-1) @ v).transpose(1, 2)


def attended(
    kind: str, heads: list[Tensor], shapes: tuple[tuple[int, ...], ...], window: int | None
) -> Tensor:
    with pytest.MonkeyPatch.context() as patch:
        if kind == "torch":
            patch.setattr(tiles, "LIBRARY", None)
        return segment_attention(torch.nn.Module(), *heads, None, shapes=shapes, sliding_window=window)[0]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("case", CASES)
def test_values_and_gradients_are_those_of_masked_attention(case: str, kind: str) -> None:
    widths, shapes, window = CASES[case]
    low = [x.requires_grad_() for x in given(*widths, sum(map(sum, shapes)))]
    high = [x.detach().float().requires_grad_() for x in low]
    found, exact = attended(kind, low, shapes, window), masked(*high, shapes, window)
    rounded = ROUNDED if kind == "tiles" else 2 * ROUNDED  # torch rounds the scores too
    assert apart(found.detach(), exact.detach()) < rounded
    along = drawn(*found.shape)
    gradients = torch.autograd.grad(found, low, along)
    for one, wanted in zip(gradients, torch.autograd.grad(exact, high, along.float()), strict=True):
        if float(wanted.norm()) > 1e-3:  # the only key of a query has all its probability, whatever its score
            assert apart(one, wanted) < 2 * rounded


@pytest.mark.parametrize("kind", KINDS)
def test_any_number_of_threads_gives_the_same(kind: str) -> None:
    shapes = ((0, 300), (40, 60, 70), (0, 129))
    heads = [x.requires_grad_() for x in given(4, 2, 64, 64, sum(map(sum, shapes)))]
    usual = torch.get_num_threads()
    made: list[list[Tensor]] = []
    try:
        for threads in (1, 2, 3, 9):  # more than there are key heads in all
            torch.set_num_threads(threads)
            found = attended(kind, heads, shapes, None)
            made.append([found.detach(), *torch.autograd.grad(found, heads, torch.ones_like(found))])
    finally:
        torch.set_num_threads(usual)
    assert all(
        torch.equal(one, other) for again in made[1:] for one, other in zip(made[0], again, strict=True)
    )


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_no_number_is_not_hidden(kind: str) -> None:
    heads = given(2, 1, 64, 64, 100)
    heads[1][0, 0, 40, 3] = float("nan")
    found = attended(kind, heads, ((0, 50), (0, 50)), None)
    assert found[0, 40:50].isnan().all()
    assert not found[0, 50:].isnan().any()


@pytest.mark.parametrize("kind", KINDS)
def test_scores_beyond_any_bound_are_survived(kind: str) -> None:
    heads = given(2, 1, 64, 64, 100)
    found = attended(kind, [heads[0] * 1e4, heads[1] * 1e4, heads[2]], ((0, 100),), None)
    assert found.isfinite().all()


def test_the_compiled_code_is_there_where_the_processor_and_the_system_can() -> None:
    flags = Path("/proc/cpuinfo").read_text(encoding="ascii", errors="replace")
    arch_prctl, ask, tile_data = 158, 0x1023, 18
    can = "amx_bf16" in flags and not ctypes.CDLL(None).syscall(arch_prctl, ask, tile_data)
    assert (tiles.LIBRARY is not None) == can
