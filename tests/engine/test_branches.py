"""Answers that share a question are laid out with the question once, and nothing else changes by it."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForSequenceClassification

from tests.engine.conftest import Engines
from tests.toys import ARCHITECTURES, attempt, toy_model, toy_preferences
from tunery.data.example import Example, branched
from tunery.data.render import ChatRenderer
from tunery.engine.batches import Batch, join
from tunery.engine.policy import Likelihood
from tunery.engine.weights import load_adapter, load_model
from tunery.methods.point import answers
from tunery.models.folder import inspect_folder, load_family


def question(trunk: int, *branches: int) -> Example:
    draw = torch.Generator().manual_seed(trunk)
    total = trunk + sum(branches)
    tokens = torch.randint(5, 300, (total,), generator=draw).tolist()
    return Example(tokens, [at >= trunk for at in range(total)], branches=branches)


def unshared(example: Example) -> list[Example]:
    """The same as plain sequences, each with a question of its own."""
    trunk = len(example.tokens) - sum(example.branches)
    made: list[Example] = []
    at = trunk
    for length in example.branches:
        tokens = [*example.tokens[:trunk], *example.tokens[at : at + length]]
        made.append(Example(tokens, [place >= trunk for place in range(len(tokens))]))
        at += length
    return made


def gradients(
    likelihood: Likelihood, batch: Batch, model: torch.nn.Module
) -> tuple[torch.Tensor, torch.Tensor]:
    """Log-likelihood of each sequence, and the gradient of a sum in which they weigh differently."""
    model.zero_grad()
    found_S = -batch.by_sequence(likelihood.token_nll(batch))
    (found_S * torch.linspace(-1, 1, len(found_S))).sum().backward()
    flat = [p.grad.flatten() for p in model.parameters() if p.grad is not None]
    return found_S.detach(), torch.cat(flat)


@pytest.mark.parametrize("architecture", sorted(ARCHITECTURES))
def test_sharing_the_question_changes_neither_likelihood_nor_gradients(
    architecture: str, tmp_path: Path
) -> None:
    folder = toy_model(tmp_path, architecture)
    family = load_family(inspect_folder(folder))
    model = load_model(folder, torch.float32, family)
    likelihood = Likelihood(model, family)
    rows = [question(7, 5, 9), question(20, 3, 11, 6), question(12, 4)]
    shared, shared_gradient = gradients(likelihood, join(rows), model)
    apart, apart_gradient = gradients(likelihood, join([one for row in rows for one in unshared(row)]), model)
    assert shared.shape == (6,)
    assert torch.allclose(shared, apart, rtol=1e-5, atol=1e-4)
    scale = float(apart_gradient.abs().max())
    assert torch.allclose(shared_gradient, apart_gradient, atol=2e-4 * scale)


def test_only_the_last_answers_are_supervised_and_the_question_is_there_once(base: Path) -> None:
    renderer = ChatRenderer.open(base)
    rows = [row for row in toy_preferences(40, answers=4) if len(row.messages) > 2]
    assert rows
    for row in rows:
        example = answers(row, renderer, 256)
        assert example is not None
        assert len(example.branches) == 4
        trunk = len(example.tokens) - sum(example.branches)
        assert list(example.tokens[:trunk]) == renderer.prompt(row.messages)
        assert not any(example.supervised[:trunk])
        at = trunk
        for answer, length in zip(row.answers, example.branches, strict=True):
            assert renderer.decode(example.tokens[at : at + length]).strip() == answer.text
            assert all(example.supervised[at : at + length])
            at += length


def test_a_row_whose_answer_lies_beyond_the_limit_is_no_example(base: Path) -> None:
    renderer = ChatRenderer.open(base)
    row = toy_preferences(1)[0]
    whole = answers(row, renderer, 256)
    assert whole is not None
    trunk = len(whole.tokens) - sum(whole.branches)
    assert answers(row, renderer, trunk) is None
    short = answers(row, renderer, trunk + 2)
    assert short is not None
    assert (short.branches, short.cut) == ((2, 2), True)


def test_mismatched_pairs_each_question_with_the_answer_before() -> None:
    rows = [replace(question(size, 3), label=True) for size in (5, 8, 6)]
    made = join(rows).mismatched(10)
    first, second, third = rows
    expected = [
        [*first.tokens[:5], *third.tokens[6:]],
        [*second.tokens[:8], *first.tokens[5:7]],
        [*third.tokens[:6], *second.tokens[8:]],
    ]
    assert made.tokens_T.tolist() == [token for tokens in expected for token in tokens]
    assert made.supervised == 8


def test_answers_that_begin_alike_share_that_too_but_all_of_each_is_learnt() -> None:
    one = Example([1, 2, 3, 4, 5], [False, False, True, True, True])
    other = Example([1, 2, 3, 7], [False, False, True, True])
    assert branched([one, other], 100) == Example(
        [1, 2, 3, 4, 5, 3, 7], [False, False, True, True, True, True, True], branches=(3, 2)
    )


@pytest.mark.filterwarnings("ignore::FutureWarning")
@pytest.mark.parametrize("kind", ["lora", "full"])
def test_a_reward_model_loads_elsewhere_and_prefers_what_it_learnt(
    engines: Engines, base: Path, tmp_path: Path, kind: str
) -> None:
    learn = {"epochs": 4, "batch_size": 8, "gradient_accumulation_steps": 1, "learning_rate": 1e-3}
    folder = attempt(tmp_path / "run", base, method="reward", finetuning_type=kind, **learn)
    assert engines.run(folder)["status"] == "succeeded"
    found = inspect_folder(base)
    family = load_family(found)
    if kind == "full":
        ours = load_model(folder.output, torch.float32, family, scored=True)
        theirs = AutoModelForSequenceClassification.from_pretrained(folder.output)
    else:
        from peft import AutoPeftModelForSequenceClassification

        ours = load_model(base, torch.float32, family, scored=True)
        load_adapter(ours, folder.output)
        theirs = AutoPeftModelForSequenceClassification.from_pretrained(str(folder.output), num_labels=1)
        theirs.config.get_text_config().pad_token_id = 1
    renderer = ChatRenderer.open(base)
    rows = [answers(row, renderer, 256) for row in toy_preferences(8, 9)]
    batch = join([row for row in rows if row is not None])
    with torch.no_grad():
        scores = Likelihood(ours, family).scores(batch)
        width = max(len(one.tokens) for row in rows if row for one in unshared(row))
        apart = [one for row in rows if row for one in unshared(row)]
        ids = torch.tensor([[*one.tokens, *[1] * (width - len(one.tokens))] for one in apart])
        expected = theirs.eval()(input_ids=ids, attention_mask=(ids != 1).long()).logits[:, 0]
    assert torch.allclose(scores, expected.float(), atol=1e-4)
    assert ((scores[0::2] - scores[1::2]) > 0).float().mean() > 0.9
