"""The compiled work on rows: as exact as bf16 allows, the same on any number of threads, deaf to nothing."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from tests.toys import ARCHITECTURES, toy_model
from tunery.engine import rowwise
from tunery.engine.attention import _hidden
from tunery.engine.batches import join
from tunery.engine.fusing import fuse
from tunery.engine.policy import Likelihood
from tunery.engine.weights import load_model
from tunery.models.folder import inspect_folder, load_family

from .test_likelihood import examples

ROUNDED = 0.003
"""How far from its value a number is after one rounding to bf16, in the root mean square, and a little."""


def drawn(*shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(sum(shape))).bfloat16()


def apart(found: Tensor, exact: Tensor) -> float:
    return float((found.float() - exact).norm() / exact.norm())


def rotated(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    first, second = x.chunk(2, -1)
    return x * cos + torch.cat([-second, first], -1) * sin


def norm(x: Tensor, weight: Tensor) -> Tensor:
    return (weight + 1) * x * torch.rsqrt(x.square().mean(-1, keepdim=True) + 1e-6)


OPERATIONS: dict[str, tuple[Callable[..., Tensor], Callable[..., Tensor], list[Tensor], int]] = {
    "norm": (lambda x, w: rowwise.norm(x, w, 1e-6, 1.0), norm, [drawn(3, 50, 100), drawn(100)], 2),
    "gate": (rowwise.gate, lambda g, u: functional.silu(g) * u, [drawn(97, 131), drawn(97, 131) * 3], 2),
    "product": (
        rowwise.gated_product,
        lambda g, u, w: (functional.silu(g) * u) @ w.mT,
        [drawn(1, 64, 48), drawn(1, 64, 48), drawn(32, 48)],
        3,
    ),
    "rotation": (
        lambda x, cos, sin: rowwise.rotate(x.transpose(1, 2), cos, sin),
        lambda x, cos, sin: rotated(x.transpose(1, 2), cos, sin),
        [drawn(1, 37, 5, 24), drawn(37, 24), drawn(37, 24)],
        1,
    ),
}


@pytest.mark.parametrize("name", OPERATIONS)
def test_values_and_gradients_are_right_up_to_one_rounding(name: str) -> None:
    ours, exact, given, differentiable = OPERATIONS[name]
    low = [x.clone().requires_grad_(at < differentiable) for at, x in enumerate(given)]
    high = [x.float().requires_grad_(at < differentiable) for at, x in enumerate(given)]
    found, expected = ours(*low), exact(*high)
    assert apart(found.detach(), expected.detach()) < ROUNDED
    along = drawn(*found.shape)
    gradients = torch.autograd.grad(found, low[:differentiable], along)
    for one, wanted in zip(
        gradients, torch.autograd.grad(expected, high[:differentiable], along.float()), strict=True
    ):
        assert apart(one, wanted) < ROUNDED


@pytest.mark.parametrize("window", [None, 40])
def test_softmax_sees_what_it_may(window: int | None) -> None:
    scores = drawn(2, 3 * 64, 200) * 4
    hidden = _hidden(64, 200, window)
    exact = scores.float().view(2, 3, 64, 200).masked_fill(hidden, float("-inf")).softmax(-1).view(2, -1, 200)
    found = rowwise.softmax(scores.clone(), 64, window)
    assert apart(found, exact) < ROUNDED
    assert not found.view(2, 3, 64, 200)[:, :, hidden].any()
    along = drawn(*found.shape)
    wanted = found.float() * (along.float() - (found.float() * along.float()).sum(-1, keepdim=True))
    assert apart(rowwise.softmax_backward(found, along.clone()), wanted) < ROUNDED


def test_losses_and_errors() -> None:
    logits, targets, nll = drawn(33, 1003) * 5, torch.arange(33) * 7, torch.empty(33)
    exact = logits.float().requires_grad_()
    expected = functional.cross_entropy(exact, targets, reduction="none")
    (errors,) = torch.autograd.grad(expected.sum(), exact)
    kept = logits.clone()
    rowwise.losses(kept, targets, nll, False)
    assert torch.equal(kept, logits)
    torch.testing.assert_close(nll, expected.detach(), rtol=1e-6, atol=1e-6)
    rowwise.losses(logits, targets, nll, True)
    assert apart(logits, errors) < ROUNDED


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_what_is_not_a_number_stays_visible(bad: float) -> None:
    x = drawn(4, 64)
    x[2, 5] = bad
    found = [
        rowwise.norm(x, drawn(64), 1e-6),
        rowwise.gate(x, x),
        rowwise.rotate(x.view(1, 1, 4, 64), drawn(4, 64), drawn(4, 64)),
        rowwise.softmax(x.clone().view(1, 4, 64), 1, None),
    ]
    for one in found:
        rows = one.view(4, 64)
        assert not rows[2].isfinite().all()
        assert rows[[0, 1, 3]].isfinite().all()
    nll = torch.empty(4)
    rowwise.losses(x, torch.zeros(4, dtype=torch.long), nll, True)
    assert nll.isfinite().tolist() == [True, True, False, True]


def test_threads_change_no_bit() -> None:
    threads = torch.get_num_threads()
    made: list[list[Tensor]] = []
    try:
        for count in (1, 2, 3):
            torch.set_num_threads(count)
            for ours, _, given, differentiable in OPERATIONS.values():
                low = [x.clone().requires_grad_(at < differentiable) for at, x in enumerate(given)]
                out = ours(*low)
                gradients = torch.autograd.grad(out, low[:differentiable], drawn(*out.shape))
                made.append([out.detach(), *gradients])
    finally:
        torch.set_num_threads(threads)
    each = len(OPERATIONS)
    for at, one in enumerate(made):
        assert all(torch.equal(a, b) for a, b in zip(one, made[at % each], strict=True))


@pytest.mark.parametrize("architecture", sorted(ARCHITECTURES))
def test_a_fused_model_is_as_near_to_the_exact_one(architecture: str, tmp_path: object) -> None:
    folder = toy_model(tmp_path, architecture)  # pyright: ignore[reportArgumentType]
    family = load_family(inspect_folder(folder))
    batch = join(examples())

    def gradients(dtype: torch.dtype, fused: bool) -> tuple[int, Tensor]:
        model = load_model(folder, dtype, family)
        count = fuse(model) if fused else 0
        nll = Likelihood(model, family).nll(batch)
        nll.backward()
        found = [p.grad.float().flatten() for p in model.parameters() if p.grad is not None]
        return count, torch.cat([nll.detach()[None].float(), *found])

    _, exact = gradients(torch.float32, False)
    _, plain = gradients(torch.bfloat16, False)
    count, fused = gradients(torch.bfloat16, True)
    # Where experts are chosen, a last bit may choose another.
    assert apart(fused, exact) <= (4 if family.EXPERTS else 1.2) * apart(plain, exact)
    assert abs(fused[0] - exact[0]) <= 0.01 * exact[0]
    if architecture in ("llama", "qwen2", "mistral", "qwen3", "gemma", "gemma3"):
        assert count >= 5


def test_what_computes_otherwise_keeps_its_own() -> None:
    class OddRMSNorm(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = torch.nn.Parameter(torch.ones(32, dtype=torch.bfloat16))
            self.eps = 1e-6

        def forward(self, x: Tensor) -> Tensor:
            return self.weight * x * torch.rsqrt(x.square().mean(-1, keepdim=True) + self.eps) + 0.5

    odd = OddRMSNorm()
    assert fuse(odd) == 0  # pyright: ignore[reportArgumentType]
    assert "forward" not in vars(odd)
    assert odd.weight.eq(1).all()
