"""Methods that learn from better and worse answers: what they measure, and how base and tuned are compared."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.engine.conftest import Engines, events
from tests.engine.test_resume import checkpoints
from tests.toys import attempt, evaluation, toy_model, toy_preferences, toy_rows
from tunery.engine.checkpoint import load_reference
from tunery.schemas.engine import EvaluatedRow

LEARN = {"epochs": 2, "batch_size": 8, "gradient_accumulation_steps": 1, "learning_rate": 1e-3}
METRICS = ["preference_accuracy", "preference_margin"]


def judge(
    engines: Engines, folder: Path, base: Path, adapter: Path, method: str, *more: str
) -> dict[str, Any]:
    asked = evaluation(
        folder,
        base,
        toy_preferences(24, 77),
        adapter=adapter,
        method=method,
        metrics=[*METRICS, *more],
        max_new_tokens=8,
    )
    found = engines.run(asked)
    assert found["status"] == "succeeded", found
    rows = [EvaluatedRow.model_validate_json(line) for line in asked.rows.read_bytes().splitlines()]
    assert len(rows) == found["rows"] == 24
    return found


@pytest.mark.parametrize("kind", ["lora", "full"])
@pytest.mark.parametrize("method", ["dpo", "reward"])
def test_what_is_learnt_shows_in_training_and_against_the_base(
    engines: Engines, base: Path, tmp_path: Path, method: str, kind: str
) -> None:
    held = toy_rows(method, 8, 5)
    folder = attempt(
        tmp_path / "run", base, method=method, finetuning_type=kind, validation=held, eval_steps=8, **LEARN
    )
    assert engines.run(folder)["status"] == "succeeded"
    metrics = [event["values"] for event in events(folder, "metric")]
    first, last = metrics[0], [values for values in metrics if "train_loss" in values][-1]
    assert last["rewards/accuracy"] > 0.9
    assert last["rewards/margin"] > first["rewards/margin"]
    measured = [values for values in metrics if "validation_loss" in values][-1]
    assert measured["validation_rewards/accuracy"] > 0.9

    more = () if method == "reward" else ("loss", "exact_match")
    found = judge(engines, tmp_path / "judged", base, folder.output, method, *more)
    assert set(found["tuned"]) == set(found["base"]) == {*METRICS, *more}
    assert found["tuned"]["preference_accuracy"]["mean"] > 0.9
    assert found["tuned"]["preference_margin"]["low"] > found["base"]["preference_margin"]["high"]


@pytest.mark.parametrize("kind", ["lora", "full"])
def test_the_untrained_model_is_asked_once_and_what_it_said_travels_with_the_checkpoint(
    engines: Engines, base: Path, tmp_path: Path, kind: str
) -> None:
    settings = {**LEARN, "finetuning_type": kind, "checkpoint_steps": 3, "seed": 3}
    first = attempt(tmp_path / "first", base, method="dpo", **settings)
    assert engines.run(first)["status"] == "succeeded"
    assert [e["stage"] for e in events(first, "progress")].count("reference train") > 0
    saved = checkpoints(first)[0]
    known = load_reference(saved)["train"]
    assert len(known) == 2 * 64
    assert np.all(known.numpy() < 0)

    second = attempt(tmp_path / "second", base, method="dpo", number=2, resume_from=[saved], **settings)
    assert engines.run(second)["status"] == "succeeded"
    assert [e for e in events(second, "progress") if e["stage"] == "reference train"] == []


def test_kto_never_trains_on_a_row_alone(engines: Engines, base: Path, tmp_path: Path) -> None:
    rows = toy_rows("kto", 9)
    folder = attempt(
        tmp_path / "run", base, method="kto", rows=rows, epochs=1, batch_size=4, gradient_accumulation_steps=1
    )
    result = engines.run(folder)
    assert (result["status"], result["steps"]) == ("succeeded", 2)
    assert {"kl", "rewards/chosen"} <= set(events(folder, "metric")[0]["values"])


def test_ranked_answers_are_compared_pair_by_pair(engines: Engines, base: Path, tmp_path: Path) -> None:
    rows = toy_preferences(32, answers=4)
    folder = attempt(tmp_path / "run", base, method="reward", rows=rows, finetuning_type="full", **LEARN)
    assert engines.run(folder)["status"] == "succeeded"
    assert events(folder, "metric")[-1]["values"]["rewards/accuracy"] > 0.8


def test_a_base_that_takes_no_head_for_scores_is_named(engines: Engines, tmp_path: Path) -> None:
    base = toy_model(tmp_path / "base", "ernie4_5")
    result = engines.run(attempt(tmp_path / "run", base, method="reward"))
    assert result["error"]["code"] == "model_without_scores"
    assert "ernie4_5" in result["error"]["message"]
