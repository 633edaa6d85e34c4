"""Models that read with an encoder and write with a decoder: what rows become, what trains them, how they answer."""

from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForSeq2SeqLM

from tests.engine.test_branches import gradients
from tests.families.lab import Trained
from tests.replica.asking import Asked, ask_all, running_decoder
from tests.toys import TEXT_TO_TEXT, evaluation, toy_conversations, toy_model, toy_preferences, toy_rows
from tunery.core.attempt import AttemptFolder
from tunery.core.errors import Problem
from tunery.core.files import read_json
from tunery.data.preview import see
from tunery.data.rows import Conversation, Message
from tunery.engine.batches import join
from tunery.engine.control import Control
from tunery.engine.evaluate import evaluate
from tunery.engine.events import Events
from tunery.engine.policy import Likelihood
from tunery.engine.weights import load_model
from tunery.methods.point import METHODS, Example, answers
from tunery.models.folder import inspect_folder, load_family
from tunery.models.rendering import renderer_of
from tunery.replica.prompts import Prompts
from tunery.schemas.engine import EngineInput, EngineSpec
from tunery.schemas.serving import ChatTurn, GenerateRequest

# PEFT 0.21 asks transformers 5.23 under an old name.
pytestmark = pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing`:FutureWarning")

PLAIN: dict[str, Any] = {"temperature": 0.0, "top_p": 1.0, "logprobs": None}


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Without a chat template, as every T5 comes."""
    folder = toy_model(tmp_path_factory.mktemp("t5"), "flan_t5")
    (folder / "chat_template.jinja").unlink()
    return folder


def spelt(base: Path, example: Example) -> list[str]:
    """What the encoder reads, and what the decoder writes in each branch."""
    renderer = renderer_of(inspect_folder(base))
    at = len(example.tokens) - sum(example.branches)
    parts = [renderer.spell(example.tokens[:at])]
    for length in example.branches:
        parts.append(renderer.spell(example.tokens[at : at + length]))
        at += length
    return parts


def test_the_encoder_reads_the_prompt_and_the_decoder_s_answer_is_learnt(base: Path) -> None:
    renderer = renderer_of(inspect_folder(base))
    one = (Message.of("user", "What is the red house?"), Message.of("assistant", "Red."))
    example = renderer.conversation(Conversation(one), 100)
    assert spelt(base, example) == ["What is the red house?<|end|>", "<|pad|>Red.<|end|>"]
    read = len(example.tokens) - example.branches[0]
    assert list(example.tokens[:read]) == renderer.prompt(one[:1])
    assert list(example.supervised) == [False] * (read + 1) + [True] * (example.branches[0] - 1)

    system = Message.of("system", "Be brief.")
    assert spelt(base, renderer.conversation(Conversation((system, *one)), 100))[0] == (
        "Be brief.\nWhat is the red house?<|end|>"
    )
    more = (*one, Message.of("user", "Again?"), Message.of("assistant", "Still <|end|> red."))
    prompt, answer = spelt(base, renderer.conversation(Conversation(more), 100))
    assert prompt == "Human: What is the red house?\nAssistant: Red.\nHuman: Again?<|end|>"
    assert answer == "<|pad|>Still <|end|> red.<|end|>"  # what a person spelt out is text, and not the token
    assert renderer.conversation(Conversation(more), 100).tokens.count(0) == 2


def test_prompt_and_answer_have_the_limit_each_and_a_cut_prompt_still_ends(base: Path) -> None:
    renderer = renderer_of(inspect_folder(base))
    talk = Conversation((Message.of("user", "house " * 60), Message.of("assistant", "river " * 60)))
    whole = renderer.conversation(talk, 1000)
    cut = renderer.conversation(talk, 20)
    assert (whole.cut, cut.cut) == (False, True)
    assert (len(cut.tokens), cut.branches) == (40, (20,))
    assert list(cut.tokens[:19]) == list(whole.tokens[:19])
    assert (cut.tokens[19], cut.tokens[39]) == (0, whole.tokens[-whole.branches[0] + 19])
    seen = see(1, talk, lambda row, limit: iter([renderer.conversation(talk, limit)]), renderer, 20)
    (sequence,) = seen.sequences
    assert sequence.learnt == 19


def test_preferences_share_the_prompt(base: Path) -> None:
    renderer = renderer_of(inspect_folder(base))
    for row in toy_preferences(10, answers=3):
        example = answers(row, renderer, 100, learn_prompt=True)
        assert example is not None
        prompt, *told = spelt(base, example)
        assert prompt == renderer.spell(renderer.prompt(row.messages))
        assert told == [f"<|pad|>{answer.text}<|end|>" for answer in row.answers]
        assert sum(example.supervised) == sum(example.branches) - 3


@pytest.mark.parametrize("architecture", sorted(TEXT_TO_TEXT))
def test_loss_and_gradients_equal_those_of_transformers_on_a_padded_batch(
    architecture: str, tmp_path: Path
) -> None:
    folder = toy_model(tmp_path, architecture)
    found = inspect_folder(folder)
    renderer = renderer_of(found)
    rows = [renderer.conversation(row, 100) for row in toy_conversations(5, 3)]
    family = load_family(found)
    model = load_model(folder, torch.float32, family)
    nll = Likelihood(model, family).nll(join(rows))
    nll.backward()

    theirs: Any = AutoModelForSeq2SeqLM.from_pretrained(folder, dtype=torch.float32)
    read = [row.tokens[: len(row.tokens) - row.branches[0]] for row in rows]
    wide, long = max(map(len, read)), max(row.branches[0] for row in rows) - 1
    ids = torch.tensor([[*tokens, *[1] * (wide - len(tokens))] for tokens in read])
    mask = torch.tensor([[1] * len(tokens) + [0] * (wide - len(tokens)) for tokens in read])
    told = [list(row.tokens[1 - row.branches[0] :]) for row in rows]
    labels = torch.tensor([[*tokens, *[-100] * (long - len(tokens))] for tokens in told])
    loss = theirs(input_ids=ids, attention_mask=mask, labels=labels).loss * (labels != -100).sum()
    loss.backward()
    assert float(nll.detach()) == pytest.approx(float(loss.detach()), rel=1e-5)
    ours = {name: p.grad for name, p in model.named_parameters() if p.grad is not None}
    for name, weight in theirs.named_parameters():
        assert torch.allclose(ours[name], weight.grad, atol=float(2e-4 * weight.grad.abs().max()) + 1e-6), (
            name
        )


def test_sharing_the_prompt_changes_neither_likelihood_nor_gradients(base: Path) -> None:
    found = inspect_folder(base)
    renderer, family = renderer_of(found), load_family(found)
    model = load_model(base, torch.float32, family)
    likelihood = Likelihood(model, family)
    rows = toy_preferences(4, answers=3)
    shared = [one for row in rows if (one := answers(row, renderer, 100))]
    alone = [
        renderer.conversation(Conversation((*row.messages, answer)), 100)
        for row in rows
        for answer in row.answers
    ]
    together, apart = (gradients(likelihood, join(one), model) for one in (shared, alone))
    assert torch.allclose(together[0], apart[0], rtol=1e-5, atol=1e-4)
    assert torch.allclose(together[1], apart[1], atol=2e-4 * float(apart[1].abs().max()))


@pytest.mark.parametrize("method", ["dpo", "kto", "orpo"])
def test_preferences_are_learnt_and_resumed_exactly(method: str, base: Path, tmp_path: Path) -> None:
    settings = {
        "method": method,
        "rows": toy_rows(method, 16),
        "learning_rate": 1e-2,
        "lora_dropout": 0.1,
        "max_steps": 6,
        "checkpoint_steps": 4,
    }
    whole = Trained(tmp_path / "whole", base, **settings)
    assert whole.learnt(), whole.losses
    resumed = Trained(tmp_path / "resumed", base, [whole.checkpoint], number=2, **settings)
    assert resumed.losses == whole.losses[-len(resumed.losses) :]
    assert resumed.equals(whole)


def test_what_is_trained_is_stored_as_its_base_was_and_asked_as_it_was_taught(
    base: Path, tmp_path: Path
) -> None:
    learnt = Trained(
        tmp_path / "run", base, finetuning_type="full", learning_rate=5e-3, max_steps=60, epochs=4
    )
    stored = read_json(learnt.output / "config.json")
    assert stored["tie_word_embeddings"] is False  # other versions of transformers go by it
    asked = [Message.of("user", "What is the red house?")]
    after = renderer_of(inspect_folder(learnt.output))
    assert after.prompt(asked) == renderer_of(inspect_folder(base)).prompt(asked)
    with running_decoder(learnt.output) as (decoder, _):
        (tokens,) = ask_all(decoder, [Asked(after.prompt(asked), 20, ends=frozenset(after.eos_ids))])
    assert after.decode(tokens).strip().startswith("The house is ")

    judged = evaluation(tmp_path / "judged", base, toy_conversations(6, 7), adapter=learnt.output)
    scores = evaluate(judged, *_given(judged))
    assert scores.tuned["loss"].mean < 0.2 * scores.base["loss"].mean


def _given(folder: AttemptFolder) -> tuple[EngineSpec, EngineInput, Events, Control]:
    return (
        EngineSpec.model_validate(folder.read_spec()),
        EngineInput.model_validate(folder.read_attempt()),
        Events(folder, 1),
        Control(folder),
    )


def test_no_reward_head_and_the_context_for_prompt_and_answer_each(base: Path) -> None:
    found = inspect_folder(base)
    assert "score" in METHODS.load("reward").NEEDS
    with pytest.raises(Problem) as caught:
        load_model(base, torch.float32, load_family(found), scored=True)
    assert caught.value.code == "model_without_scores"
    prompts = Prompts(renderer_of(found), 30, apart=True)
    fits = GenerateRequest(messages=[ChatTurn(role="user", content="house " * 10)], max_tokens=30, **PLAIN)
    assert prompts.answer(fits, print).limit == 30
    for content, tokens in (("house " * 40, 1), ("house", 31)):
        too_long = GenerateRequest(
            messages=[ChatTurn(role="user", content=content)], max_tokens=tokens, **PLAIN
        )
        with pytest.raises(Problem) as caught:
            prompts.answer(too_long, print)
        assert caught.value.code == "context_length_exceeded"
