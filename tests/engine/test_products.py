"""Products by tiles, and linear layers that train by them: exact up to one rounding, whatever lies how."""

import pytest
import torch
from torch import Tensor

from tunery.engine import tiles
from tunery.engine.linear import train_by_tiles

from .test_attention import drawn
from .test_rowwise import ROUNDED, apart

SHAPES = [(1, 1, 1), (33, 9, 17), (8, 2752, 1000), (700, 8, 384), (1030, 300, 800), (64, 257, 32)]


def lying(x: Tensor, how: str) -> Tensor:
    """The same numbers, otherwise in memory."""
    if how == "turned":
        return x.mT.contiguous().mT
    return torch.cat([x, x], 1)[:, : x.shape[1]] if how == "part" else x


@pytest.mark.parametrize("right", ["plain", "turned", "part"])
@pytest.mark.parametrize("left", ["plain", "turned", "part"])
def test_products_are_right_up_to_one_rounding(left: str, right: str) -> None:
    for rows, depth, columns in SHAPES:
        a, b, onto = drawn(rows, depth), drawn(depth, columns), drawn(rows, columns)
        exact = 2.5 * (a.float() @ b.float())
        found = tiles.product(lying(a, left), lying(b, right), 2.5)
        assert apart(found, exact) < ROUNDED
        added = tiles.product(lying(a, left), lying(b, right), 2.5, onto=onto.clone())
        assert apart(added, exact + onto.float()) < ROUNDED


def test_nothing_to_add_up_is_zero() -> None:
    assert tiles.product(drawn(5, 0), drawn(0, 7)).eq(0).all()
    onto = drawn(5, 7)
    assert torch.equal(tiles.product(drawn(5, 0), drawn(0, 7), onto=onto.clone()), onto)


def test_any_number_of_threads_gives_the_same_product() -> None:
    usual = torch.get_num_threads()
    made: list[Tensor] = []
    try:
        for threads in (1, 2, 3, 4):
            torch.set_num_threads(threads)
            made.append(tiles.product(drawn(900, 1000), drawn(1000, 130)))
    finally:
        torch.set_num_threads(usual)
    assert all(torch.equal(made[0], one) for one in made[1:])


@pytest.mark.parametrize("bias", [True, False])
def test_a_layer_learns_as_it_does_by_autograd(bias: bool) -> None:
    layer = torch.nn.Linear(96, 40, bias=bias, dtype=torch.bfloat16)
    exact = torch.nn.Linear(96, 40, bias=bias)
    exact.load_state_dict(layer.state_dict())
    train_by_tiles(torch.nn.Sequential(layer))
    x = drawn(2, 70, 96).requires_grad_()
    high = x.detach().float().requires_grad_()
    found, wanted = layer(x), exact(high)
    along = drawn(*found.shape)
    found.backward(along)
    wanted.backward(along.float())
    assert apart(found.detach(), wanted.detach()) < ROUNDED
    assert x.grad is not None
    assert high.grad is not None
    assert apart(x.grad, high.grad) < ROUNDED
    for mine, theirs in zip(layer.parameters(), exact.parameters(), strict=True):
        assert mine.grad is not None
        assert theirs.grad is not None
        assert apart(mine.grad, theirs.grad) < ROUNDED
