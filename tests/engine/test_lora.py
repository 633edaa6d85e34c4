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
