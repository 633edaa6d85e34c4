"""Answers that share a batch are the answers they would be alone, in every family; and equal the engine's."""

import threading
from pathlib import Path

import pytest
import torch

from tests.replica.asking import Asked, ask_all, running_decoder
from tests.replica.models import Models, make_adapter
from tests.toys import ARCHITECTURES, TEXT_TO_TEXT, toy_model
from tunery.core.errors import Problem
from tunery.engine.generate import greedy
from tunery.engine.weights import load_adapter, load_model
from tunery.models.folder import inspect_folder, load_family
from tunery.schemas.serving import EndLine

# PEFT 0.21 asks transformers 5.23 under an old name.
pytestmark = pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing`:FutureWarning")

# Longer than the sliding window of the toy models, so that windows slide.
_PROMPTS = [[5 + (7 * row + 3 * place) % 300 for place in range(9 + 13 * row)] for row in range(4)]
_LIMITS = [14, 20, 8, 17]


@pytest.mark.parametrize("architecture", sorted({**ARCHITECTURES, **TEXT_TO_TEXT}))
def test_rows_of_a_batch_are_what_they_are_alone(architecture: str, tmp_path: Path) -> None:
    base = toy_model(tmp_path / architecture, architecture)
    with running_decoder(base, max_batch=3) as (decoder, served):
        assert served.batches == (architecture != "rwkv")
        alone = [ask_all(decoder, [Asked(p, n)])[0] for p, n in zip(_PROMPTS, _LIMITS, strict=True)]
        # More answers than rows: some join while others are under way, at another length.
        together = ask_all(decoder, [Asked(p, n) for p, n in zip(_PROMPTS, _LIMITS, strict=True)])
    assert together == alone
    assert [len(tokens) for tokens in alone] == _LIMITS
    model = load_model(base, torch.float32, load_family(inspect_folder(base)), generate=True)
    for index, tokens in greedy(
        model, _PROMPTS, max_new_tokens=max(_LIMITS), context=256, ends=[], leave=lambda: False
    ):
        assert tokens[: _LIMITS[index]] == alone[index]


def test_adapters_mixed_in_a_batch_are_what_they_are_alone(models: Models) -> None:
    names = [None, "first:1.0", "second:2.0", "first:1.0"]
    with running_decoder(models.base) as (decoder, served):
        for name, path in (("first:1.0", models.first), ("second:2.0", models.second)):
            decoder.call(lambda name=name, path=path: served.load_adapter(name, path)).result()
        alone = [ask_all(decoder, [Asked(_PROMPTS[0], 24, name)])[0] for name in names]
        together = ask_all(decoder, [Asked(_PROMPTS[0], 24, name) for name in names])
        assert together == alone
        assert alone[0] != alone[1] != alone[2] != alone[0]
        decoder.call(lambda: served.unload_adapter("first:1.0")).result()
        assert ask_all(decoder, [Asked(_PROMPTS[0], 24, "second:2.0")]) == [alone[2]]
        decoder.call(lambda: served.unload_adapter("second:2.0")).result()
        assert ask_all(decoder, [Asked(_PROMPTS[0], 24)]) == [alone[0]]
    model = load_model(models.base, torch.float32, load_family(inspect_folder(models.base)), generate=True)
    tuned = load_adapter(model, models.second)
    (_, tokens), *_ = greedy(
        tuned, [_PROMPTS[0]], max_new_tokens=24, context=256, ends=[], leave=lambda: False
    )
    assert tokens == alone[2]


def test_an_adapter_that_does_not_fit_leaves_the_model_as_it_was(models: Models, tmp_path: Path) -> None:
    with running_decoder(models.base) as (decoder, served):
        before = ask_all(decoder, [Asked(_PROMPTS[1], 12)])
        for wrong in (
            make_adapter(tmp_path / "wide", hidden=96),
            make_adapter(tmp_path / "deep", layers=3),
            make_adapter(tmp_path / "shallow", layers=1),
        ):
            with pytest.raises(Problem) as caught:
                decoder.call(lambda wrong=wrong: served.load_adapter("wrong", wrong)).result()
            assert caught.value.code == "adapter_unusable"
        assert ask_all(decoder, [Asked(_PROMPTS[1], 12)]) == before
        decoder.call(lambda: served.load_adapter("first", models.first)).result()
        assert ask_all(decoder, [Asked(_PROMPTS[1], 12, "first")]) != before


def test_an_end_token_ends_and_is_not_shown(models: Models) -> None:
    with running_decoder(models.base) as (decoder, _):
        free = ask_all(decoder, [Asked(_PROMPTS[0], 10)])[0]
        asked = Asked(_PROMPTS[0], 10, ends=frozenset({free[4]}))
        at = free.index(free[4]) + 1
        assert ask_all(decoder, [asked]) == [free[:at]]
    end = asked.lines[-1]
    assert isinstance(end, EndLine)
    assert (end.finish_reason, end.prompt_tokens, end.completion_tokens) == ("stop", len(_PROMPTS[0]), at)
    assert "".join(line.text for line in asked.lines[:-1] if line.type == "text") == "".join(
        f"{t} " for t in free[: at - 1]
    )


def test_a_cancelled_answer_leaves_the_batch(models: Models) -> None:
    with running_decoder(models.base) as (decoder, _):
        endless = Asked(_PROMPTS[0], 100_000)
        decoder.submit(endless.answer)
        while len(endless.lines) < 3:
            threading.Event().wait(0.01)
        endless.answer.cancelled = True
        assert len(ask_all(decoder, [Asked(_PROMPTS[1], 5)])[0]) == 5
        while decoder.load() != {"running": 0, "waiting": 0}:
            threading.Event().wait(0.01)


def test_the_queue_is_bounded(models: Models) -> None:
    with running_decoder(models.base, max_batch=1, max_waiting=2) as (decoder, _):
        first = Asked(_PROMPTS[0], 100_000)
        decoder.submit(first.answer)
        while not first.lines:
            threading.Event().wait(0.01)
        waiting = [Asked(_PROMPTS[0], 5) for _ in range(2)]
        for each in waiting:
            decoder.submit(each.answer)
        with pytest.raises(Problem) as caught:
            decoder.submit(Asked(_PROMPTS[0], 5).answer)
        assert caught.value.code == "replica_busy"
        first.answer.cancelled = True
        assert [len(each.tokens()) for each in waiting] == [5, 5]
