"""At each validation the model in training answers a few of the rows, and people read how it comes on."""

from pathlib import Path
from typing import Any

import pytest

from tests.engine.conftest import Engines, events
from tests.toys import attempt, toy_conversations, toy_model, toy_rows
from tunery.data.rows import Conversation, Message
from tunery.engine import samples

SHORT: dict[str, Any] = {
    "batch_size": 8,
    "gradient_accumulation_steps": 1,
    "learning_rate": 3e-3,
    "max_sequence_length": 64,
    "eval_steps": 2,
    "max_steps": 4,
}


@pytest.mark.parametrize("method", ["sft", "pretrain", "dpo", "kto", "orpo"])
def test_every_method_that_writes_shows_answers(
    engines: Engines, base: Path, tmp_path: Path, method: str
) -> None:
    rows = toy_rows(method, 6, 9)
    folder = attempt(tmp_path / "run", base, method=method, validation=rows, **SHORT)
    assert engines.run(folder)["status"] == "succeeded"
    said = events(folder, "sample")
    assert [event["step"] for event in said] == [2] * 3 + [4] * 3
    assert {event["prompt"] for event in said[:3]} == {event["prompt"] for event in said[3:]}
    assert all(event["prompt"] for event in said)
    assert any(event["expected"] for event in said)


def test_what_is_learnt_shows_in_the_answers(engines: Engines, base: Path, tmp_path: Path) -> None:
    row = toy_conversations(1, 3)
    settings = {**SHORT, "learning_rate": 1e-2, "finetuning_type": "full", "max_steps": 60, "eval_steps": 60}
    folder = attempt(tmp_path / "run", base, rows=row * 8, validation=row, epochs=60, **settings)
    engines.run(folder)
    (said,) = events(folder, "sample")
    assert said["answer"] == said["expected"] == row[0].messages[-1].text


def test_rows_that_are_too_long_are_passed_over(engines: Engines, base: Path, tmp_path: Path) -> None:
    long = Conversation((Message.of("user", "red " * 200), Message.of("assistant", "Yes.")))
    rows = [long, long, *toy_conversations(2, 9)]
    folder = attempt(tmp_path / "run", base, validation=rows, **{**SHORT, "eval_samples": 1})
    engines.run(folder)
    assert {event["prompt"] for event in events(folder, "sample")} <= {
        samples.spoken(row.messages[:at]) for row in rows[2:] for at in range(len(row.messages))
    }
    assert len(events(folder, "sample")) == 2


@pytest.mark.parametrize("architecture", ["gemma2", "gpt_oss", "rwkv", "falcon"])
def test_other_architectures_answer_and_train_on(engines: Engines, tmp_path: Path, architecture: str) -> None:
    base = toy_model(tmp_path / "base", architecture)
    folder = attempt(tmp_path / "run", base, validation=toy_conversations(3, 9), **SHORT)
    assert engines.run(folder)["status"] == "succeeded"
    assert len(events(folder, "sample")) == 6
