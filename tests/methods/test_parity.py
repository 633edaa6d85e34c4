"""Every method's loss equals that of its reference implementation, TRL, step for step in fp32."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.engine.conftest import losses
from tests.toys import CHAT_TEMPLATE, attempt, toy_conversations, toy_labelled, toy_model, toy_preferences
from tunery.data.rows import Conversation, Labelled, Message, Preference, Row
from tunery.engine.batches import order
from tunery.engine.control import Control
from tunery.engine.events import Events
from tunery.engine.train import train
from tunery.schemas.engine import EngineInput, EngineSpec

STEPS = 20
BATCH = 4
RATE = 1e-3
SEED = 42
GENERATION_TEMPLATE = CHAT_TEMPLATE.replace(
    "{{ message['content'] }}<|end|>",
    "{% if message['role'] == 'assistant' %}{% generation %}{{ message['content'] }}<|end|>{% endgeneration %}"
    "{% else %}{{ message['content'] }}<|end|>{% endif %}",
)
"""The toys' template, with what TRL needs to find the answers; it renders the same."""

CASES: dict[str, tuple[str, str, dict[str, Any], dict[str, Any]]] = {
    "sft": ("sft", "sft", {}, {"assistant_only_loss": True}),
    "dpo-sigmoid": ("dpo", "dpo", {"beta": 0.2}, {"beta": 0.2, "loss_type": ["sigmoid"]}),
    "dpo-ipo": ("dpo", "dpo", {"beta": 0.1, "loss_type": "ipo"}, {"beta": 0.1, "loss_type": ["ipo"]}),
    "kto": (
        "kto",
        "kto",
        {"beta": 0.3, "desirable_weight": 1.0, "undesirable_weight": 1.5},
        {"beta": 0.3, "desirable_weight": 1.0, "undesirable_weight": 1.5},
    ),
    "orpo": ("orpo", "orpo", {"beta": 0.2}, {"beta": 0.2}),
    "reward": ("reward", "reward", {"center_rewards": 0.01}, {"center_rewards_coefficient": 0.01}),
}
"""Name to our method, TRL's trainer, our settings, TRL's."""


def told(messages: tuple[Message, ...]) -> list[dict[str, str]]:
    return [{"role": message.role, "content": message.text} for message in messages]


def as_text(messages: tuple[Message, ...]) -> str:
    """TRL's ORPO joins texts by itself."""
    return "".join(f"<|{message.role}|>{message.text}<|end|>" for message in messages)


def for_trl(trainer: str, row: Row) -> dict[str, Any]:
    match row:
        case Conversation():
            return {"messages": told(row.messages)}
        case Labelled():
            return {
                "prompt": told(row.messages[:-1]),
                "completion": told(row.messages[-1:]),
                "label": row.label,
            }
        case Preference() if trainer == "orpo":
            return {
                "prompt": as_text(row.messages) + "<|assistant|>",
                "chosen": f"{row.chosen.text}<|end|>",
                "rejected": f"{row.rejected.text}<|end|>",
            }
        case Preference():
            return {
                "prompt": told(row.messages),
                "chosen": told((row.chosen,)),
                "rejected": told((row.rejected,)),
            }
        case _:
            raise AssertionError(row)


def rows_of(method: str) -> list[Any]:
    count = STEPS * BATCH
    makers: dict[str, Callable[[int], list[Any]]] = {"sft": toy_conversations, "kto": toy_labelled}
    return makers.get(method, toy_preferences)(count)


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A tiny Llama, and the same with a head for scores."""
    from transformers import AutoModelForSequenceClassification

    folder = tmp_path_factory.mktemp("models")
    plain, scored = toy_model(folder / "plain"), toy_model(folder / "scored")
    head = AutoModelForSequenceClassification.from_pretrained(scored, num_labels=1)
    head.config.pad_token_id = 1
    head.save_pretrained(scored)
    return {"plain": plain, "scored": scored}


@pytest.fixture(scope="module")
def theirs(models: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[float]]:
    """What TRL's losses are, all in one process."""
    folder = tmp_path_factory.mktemp("trl")
    jobs = [
        {
            "name": name,
            "trainer": trainer,
            "model": str(models["scored" if method == "reward" else "plain"]),
            "chat_template": GENERATION_TEMPLATE if trainer == "sft" else None,
            "rows": [
                for_trl(trainer, rows_of(method)[index]) for index in order(STEPS * BATCH, SEED, 0).tolist()
            ],
            "settings": {
                "per_device_train_batch_size": BATCH,
                "gradient_accumulation_steps": 1,
                "num_train_epochs": 1,
                "learning_rate": RATE,
                "lr_scheduler_type": "linear",
                "weight_decay": 0.0,
                "seed": SEED,
                "max_length": 256,
                **settings,
            },
        }
        for name, (method, trainer, _, settings) in CASES.items()
    ]
    (folder / "jobs.json").write_text(json.dumps(jobs))
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "tests.methods.trl_losses",
            str(folder / "jobs.json"),
            str(folder / "out.json"),
        ],
        env={**os.environ, "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1", "HF_HOME": str(folder / "home")},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    return json.loads((folder / "out.json").read_text())


@pytest.mark.parametrize("name", sorted(CASES))
def test_losses_equal_those_of_trl(
    name: str,
    models: dict[str, Path],
    theirs: dict[str, list[float]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("tunery.engine.policy.has_bf16", lambda: False)
    method, _, settings, _ = CASES[name]
    folder = attempt(
        tmp_path,
        models["scored" if method == "reward" else "plain"],
        method=method,
        rows=rows_of(method),
        finetuning_type="full",
        batch_size=BATCH,
        gradient_accumulation_steps=1,
        learning_rate=RATE,
        seed=SEED,
        **settings,
    )
    spec = EngineSpec.model_validate(folder.read_spec())
    given = EngineInput.model_validate(folder.read_attempt())
    result = train(folder, spec, given, Events(folder, 1), Control(folder))
    assert result.status == "succeeded"
    ours = losses(folder)
    assert list(ours) == list(range(1, STEPS + 1))
    assert list(ours.values()) == pytest.approx(theirs[name], rel=1e-4)
    assert ours[STEPS] < ours[1]
