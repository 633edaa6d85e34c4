"""The layout without padding changes nothing about the loss, for every architecture that is laid out so."""

from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM

from tests.toys import ARCHITECTURES, toy_model
from tunery.engine import loss
from tunery.engine.batches import Batch, join
from tunery.engine.policy import Likelihood
from tunery.engine.weights import load_model
from tunery.methods.point import Example
from tunery.models.folder import inspect_folder, load_family


def examples() -> list[Example]:
    draw = torch.Generator().manual_seed(3)
    made: list[Example] = []
    for length in (5, 33, 17, 40):
        tokens = torch.randint(5, 300, (length,), generator=draw).tolist()
        made.append(Example(tokens, [at > length // 3 for at in range(length)]))
    return made


def reference(folder: Path, rows: list[Example]) -> tuple[float, dict[str, torch.Tensor]]:
    """Sum of the loss by transformers alone: a padded batch, labels, no code of ours."""
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager")
    if model.config.model_type == "rwkv":
        model.config.rescale_every = (
            0  # outside training it would halve weights in place, and their gradients not
        )
    width = max(len(row.tokens) for row in rows)
    ids, mask = (
        torch.ones(len(rows), width, dtype=torch.long),
        torch.zeros(len(rows), width, dtype=torch.long),
    )
    labels = torch.full_like(ids, -100)
    for line, row in enumerate(rows):
        size = len(row.tokens)
        ids[line, :size] = torch.tensor(row.tokens)
        mask[line, :size] = 1
        labels[line, :size] = torch.where(torch.tensor(row.supervised), ids[line, :size], -100)
    mean = model(input_ids=ids, attention_mask=mask, labels=labels, use_cache=False).loss
    total = mean * (labels[:, 1:] != -100).sum()
    total.backward()
    return float(total.detach()), {name: p.grad for name, p in model.named_parameters() if p.grad is not None}


@pytest.mark.parametrize("architecture", sorted(ARCHITECTURES))
def test_loss_and_gradients_equal_a_plain_padded_forward(architecture: str, tmp_path: Path) -> None:
    folder = toy_model(tmp_path, architecture)
    family = load_family(inspect_folder(folder))
    model = load_model(folder, torch.float32, family)
    rows = examples()
    expected, gradients = reference(folder, rows)
    total = Likelihood(model, family).nll(join(rows))
    total.backward()
    assert float(total.detach()) == pytest.approx(expected, rel=1e-5)
    ours = {name: p.grad for name, p in model.named_parameters() if p.grad is not None}
    assert ours.keys() == gradients.keys()
    for name, gradient in gradients.items():
        scale = gradient.abs().max()
        assert torch.allclose(ours[name], gradient, atol=float(2e-4 * scale) + 1e-6), name


def test_packed_equals_one_by_one(base: Path) -> None:
    family = load_family(inspect_folder(base))
    likelihood = Likelihood(load_model(base, torch.float32, family), family)
    rows = examples()
    with torch.no_grad():
        together = likelihood.token_nll(join(rows))
        alone = torch.cat([likelihood.token_nll(join([row])) for row in rows])
    assert torch.allclose(together, alone, atol=1e-5)


def test_a_segment_never_sees_another(base: Path) -> None:
    family = load_family(inspect_folder(base))
    likelihood = Likelihood(load_model(base, torch.float32, family), family)
    first, second, *_ = examples()
    other = Example([6] * len(first.tokens), first.supervised)
    count = sum(second.supervised)
    with torch.no_grad():
        one = likelihood.token_nll(join([first, second]))[-count:]
        two = likelihood.token_nll(join([other, second]))[-count:]
    assert torch.equal(one, two)


@pytest.mark.parametrize("kept", [0, 2**28], ids=["made again", "kept"])
@pytest.mark.parametrize("trained", ["all", "hidden", "layer"])
@pytest.mark.parametrize("alike", [False, True])
def test_linear_nll_has_the_gradients_of_autograd(
    monkeypatch: pytest.MonkeyPatch, trained: str, kept: int, alike: bool
) -> None:
    monkeypatch.setattr(loss, "CHUNK_BYTES", 4 * 50 * 64)
    monkeypatch.setattr(loss, "SLICE_BYTES", 4 * 50 * 10)
    monkeypatch.setattr(loss, "KEPT_BYTES", kept)
    torch.manual_seed(0)
    targets = torch.randint(0, 50, (200,))
    shape = torch.randn(200, 16), torch.randn(50, 16), torch.randn(50)
    wants = {"all": (True, True, True), "hidden": (True, False, False), "layer": (False, True, True)}[trained]
    weights = torch.full((200,), 0.3) if alike else torch.rand(200) - 0.5
    ours = [tensor.clone().requires_grad_(wanted) for tensor, wanted in zip(shape, wants, strict=True)]
    (loss.linear_nll(*ours, targets, alike=alike) * weights).sum().backward()
    plain = [tensor.clone().requires_grad_(wanted) for tensor, wanted in zip(shape, wants, strict=True)]
    logits = torch.nn.functional.linear(*plain)
    (torch.nn.functional.cross_entropy(logits, targets, reduction="none") * weights).sum().backward()
    for mine, theirs in zip(ours, plain, strict=True):
        assert (mine.grad is None) == (theirs.grad is None)
        if mine.grad is not None and theirs.grad is not None:
            assert torch.allclose(mine.grad, theirs.grad, atol=1e-4)


def test_a_broken_promise_of_equal_weights_is_noticed() -> None:
    hidden, weight = torch.randn(3, 8, requires_grad=True), torch.randn(20, 8, requires_grad=True)
    nll = loss.linear_nll(hidden, weight, None, torch.tensor([1, 2, 3]), alike=True)
    with pytest.raises(RuntimeError, match="alike"):
        (nll * torch.tensor([1.0, 2.0, 1.0])).sum().backward()


def test_batches_hold_no_padding() -> None:
    rows = examples()
    batch: Batch = join(rows)
    assert len(batch.tokens_T) == sum(map(sum, batch.shapes)) == sum(len(row.tokens) for row in rows)
    assert batch.supervised == sum(sum(row.supervised) for row in rows)
