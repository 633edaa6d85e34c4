"""A layer and its adapter as one function: what PEFT computes, with dropout too; other kinds are left alone."""

from typing import Any

import pytest
import torch
from peft import LoraConfig, get_peft_model
from torch import Tensor, nn

from tunery.engine.lora import join_adapters


def adapted(dropout: float = 0.0, **settings: object) -> Any:
    torch.manual_seed(1)
    inner = nn.Sequential(nn.Linear(24, 40), nn.Tanh(), nn.Linear(40, 12, bias=False))
    config = LoraConfig(r=4, lora_alpha=7, lora_dropout=dropout, target_modules=["0", "2"], **settings)  # pyright: ignore[reportArgumentType]
    model = get_peft_model(inner, config)  # pyright: ignore[reportArgumentType]
    for name, weight in model.named_parameters():
        if "lora_B" in name:
            nn.init.normal_(weight)
    return model


def computed(model: nn.Module, x: Tensor) -> list[Tensor]:
    torch.manual_seed(5)
    x = x.clone().requires_grad_()
    y = model(x)
    trained = [p for p in model.parameters() if p.requires_grad]
    return [y.detach(), *torch.autograd.grad(y.square().sum(), [x, *trained])]


@pytest.mark.parametrize("dropout", [0.0, 0.3])
@pytest.mark.parametrize("mode", ["train", "eval", "disabled", "merged"])
def test_values_and_gradients_are_those_of_peft(dropout: float, mode: str) -> None:
    model, x = adapted(dropout), torch.randn(2, 9, 24)
    model.train(mode == "train")
    if mode == "disabled":
        model.base_model.disable_adapter_layers()
        model.requires_grad_(True)
    if mode == "merged":
        model.merge_adapter()
        model.requires_grad_(True)

    def given() -> list[Tensor]:
        torch.manual_seed(5)
        y = model(x)
        trained = [p for p in model.parameters() if p.requires_grad]
        return [
            y.detach(),
            *(g for g in torch.autograd.grad(y.square().sum(), trained, allow_unused=True) if g is not None),
        ]

    expected = given() if mode in ("disabled", "merged") else computed(model, x)
    join_adapters(model)
    found = given() if mode in ("disabled", "merged") else computed(model, x)
    assert len(found) == len(expected)
    for one, wanted in zip(found, expected, strict=True):
        torch.testing.assert_close(one, wanted, rtol=1e-4, atol=1e-5)


def test_in_bf16_it_is_no_further_from_the_exact_one() -> None:
    model, x = adapted(), torch.randn(2, 64, 24)
    exact = computed(model, x)
    model.to(torch.bfloat16)
    plain = computed(model, x.bfloat16())
    join_adapters(model)
    joined = computed(model, x.bfloat16())
    for one, peft, wanted in zip(joined, plain, exact, strict=True):
        assert (one.float() - wanted).norm() <= 1.2 * (peft.float() - wanted).norm()


def test_other_kinds_keep_their_own() -> None:
    model = adapted(use_dora=True)
    join_adapters(model)
    assert not any("forward" in vars(layer) for layer in model.modules())


class Block(nn.Module):
    """Three layers that read the same, unless `apart`, and two more after them."""

    def __init__(self) -> None:
        super().__init__()
        self.apart = False
        self.q_proj, self.k_proj = nn.Linear(24, 40), nn.Linear(24, 16, bias=False)
        self.v_proj = nn.Linear(24, 16)
        self.gate_proj, self.up_proj = nn.Linear(72, 33), nn.Linear(72, 33)

    def forward(self, x: Tensor) -> Tensor:
        other = x * 2 if self.apart else x
        y = torch.cat([self.q_proj(x), self.k_proj(other), self.v_proj(other)], -1).tanh()
        return self.gate_proj(y).sigmoid() * self.up_proj(y)


def block(dropout: float = 0.0) -> Any:
    torch.manual_seed(1)
    config = LoraConfig(r=4, lora_alpha=7, lora_dropout=dropout, target_modules=r".*_proj")
    model = get_peft_model(Block(), config)  # pyright: ignore[reportArgumentType]
    for name, weight in model.named_parameters():
        if "lora_B" in name:
            nn.init.normal_(weight)
    return model


@pytest.mark.parametrize("apart", [False, True])
@pytest.mark.parametrize("dropout", [0.0, 0.3])
def test_layers_that_read_the_same_do_so_together(dropout: float, apart: bool) -> None:
    model, x = block(dropout), torch.randn(2, 9, 24)
    model.base_model.model.apart = apart
    expected = computed(model, x)
    join_adapters(model)
    for _ in range(2):
        found = computed(model, x)
        for one, wanted in zip(found, expected, strict=True):
            torch.testing.assert_close(one, wanted, rtol=1e-3, atol=1e-4)


def test_together_in_bf16_they_are_no_further_from_the_exact_ones() -> None:
    model, x = block(), torch.randn(2, 64, 24)
    exact = computed(model, x)
    model.to(torch.bfloat16)
    plain = computed(model, x.bfloat16())
    join_adapters(model)
    joined = computed(model, x.bfloat16())
    errors = [
        ((one.float() - wanted).norm(), (peft.float() - wanted).norm())
        for one, peft, wanted in zip(joined, plain, exact, strict=True)
    ]
    assert sum(float(ours / theirs) for ours, theirs in errors) <= 1.1 * len(errors)


def test_an_output_that_nothing_depends_on_learns_nothing() -> None:
    model, x = block(), torch.randn(2, 9, 24)
    join_adapters(model)
    inner = model.base_model.model
    q, k, v = (layer(x) for layer in (inner.q_proj, inner.k_proj, inner.v_proj))
    (q.sum() + v.square().sum()).backward()
    assert k.requires_grad
    assert inner.k_proj.lora_B["default"].weight.grad is None
    assert inner.v_proj.lora_B["default"].weight.grad.abs().sum() > 0
