"""A run that was killed and resumed equals one that wasn't, bit for bit."""

import random
from pathlib import Path
from typing import Any

import pytest

from tests.engine.conftest import Engines, damage, events, kill_hard, losses
from tests.toys import attempt, toy_conversations
from tunery.core.attempt import AttemptFolder
from tunery.data.rows import Conversation, Message
from tunery.schemas.engine import Part

SHORT = {
    "epochs": 2,
    "batch_size": 4,
    "gradient_accumulation_steps": 2,
    "learning_rate": 2e-3,
    "lr_scheduler": "cosine",
    "warmup_ratio": 0.2,
    "checkpoint_steps": 2,
    "max_sequence_length": 32,
}


def weights_of(folder: AttemptFolder) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in sorted(folder.output.glob("*.safetensors"))}


def checkpoints(folder: AttemptFolder) -> list[Path]:
    return sorted(folder.checkpoints.glob("step-*"))


@pytest.mark.parametrize("packing", [False, True], ids=["rows", "packed"])
@pytest.mark.parametrize("kind", ["lora", "full"])
@pytest.mark.parametrize("method", ["sft", "pretrain", "dpo", "kto", "orpo", "reward"])
def test_killed_and_resumed_equals_undisturbed(
    engines: Engines, base: Path, tmp_path: Path, method: str, kind: str, packing: bool
) -> None:
    dropout = {"lora_dropout": 0.2} if kind == "lora" else {}
    settings = {**SHORT, "finetuning_type": kind, "packing": packing, **dropout}
    if packing:
        settings |= {"batch_size": 2, "gradient_accumulation_steps": 2}
    whole = attempt(tmp_path / "whole", base, method=method, **settings)
    assert engines.run(whole)["status"] == "succeeded"
    expected = losses(whole)
    assert len(expected) >= 6

    step = random.randint(3, len(expected) - 1)
    killed = attempt(tmp_path / "killed", base, method=method, **settings)
    engines.run_until(killed, step, kill_hard)
    resumed = attempt(
        tmp_path / "resumed", base, method=method, number=2, resume_from=checkpoints(killed), **settings
    )
    result = engines.run(resumed)

    assert result["status"] == "succeeded"
    assert events(resumed, "started")[0]["resumed_from"] is not None
    before, after = losses(killed), losses(resumed)
    assert min(after) > 1
    assert {**before, **after} == expected, f"killed at step {step}"
    assert {n: v for n, v in before.items() if n in after} == {n: after[n] for n in before if n in after}
    assert weights_of(resumed) == weights_of(whole), f"killed at step {step}"


def test_noise_early_stopping_datasets_and_samples_resume_exactly(
    engines: Engines, base: Path, tmp_path: Path
) -> None:
    settings = {
        **SHORT,
        "epochs": 4,
        "lora_dropout": 0.1,
        "lora_rslora": True,
        "neftune": 5.0,
        "eval_steps": 2,
        "early_stopping": True,
        "early_stopping_threshold": 10.0,
        "early_stopping_patience": 5,
        "lr_cosine_waves": 1.5,
        "packing": True,
    }
    given: dict[str, Any] = {
        "validation": toy_conversations(4, 9),
        "parts": [Part(title="a", train=40), Part(title="b", train=24)],
        **settings,
    }
    whole = attempt(tmp_path / "whole", base, **given)
    assert engines.run(whole)["steps"] == 12
    killed = attempt(tmp_path / "killed", base, **given)
    engines.run_until(killed, random.randint(5, 11), kill_hard)
    resumed = attempt(tmp_path / "resumed", base, number=2, resume_from=checkpoints(killed), **given)
    assert engines.run(resumed)["steps"] == 12
    assert {**measured(killed), **measured(resumed)} == measured(whole)
    assert {**samples(killed), **samples(resumed)} == samples(whole)
    assert weights_of(resumed) == weights_of(whole)

    silent = attempt(tmp_path / "silent", base, **given, eval_samples=0)
    engines.run(silent)
    assert not samples(silent)
    assert measured(silent) == measured(whole)
    assert weights_of(silent) == weights_of(whole)


def measured(folder: AttemptFolder) -> dict[tuple[int, str], float]:
    """Losses by step, of every dataset and of the validation."""
    found = [(event["step"], event["values"].items()) for event in events(folder, "metric")]
    return {(step, name): value for step, values in found for name, value in values if "loss" in name}


def samples(folder: AttemptFolder) -> dict[tuple[int, str], str]:
    """Answers by step and prompt."""
    return {(event["step"], event["prompt"]): event["answer"] for event in events(folder, "sample")}


def test_a_damaged_checkpoint_is_set_aside_and_the_one_before_is_used(
    engines: Engines, base: Path, tmp_path: Path
) -> None:
    settings = {**SHORT, "finetuning_type": "full"}
    whole = attempt(tmp_path / "whole", base, **settings)
    engines.run(whole)
    *_, older, newest = checkpoints(whole)
    damage(newest / "model.safetensors")

    again = attempt(tmp_path / "again", base, number=2, resume_from=[older, newest], **settings)
    assert engines.run(again)["status"] == "succeeded"
    assert events(again, "started")[0]["resumed_from"] == int(older.name.removeprefix("step-"))
    assert not newest.exists()
    assert (newest.parent / f"quarantine-{newest.name}").is_dir()
    assert any("damaged" in event["message"] for event in events(again, "log"))
    assert weights_of(again) == weights_of(whole)


def test_where_no_checkpoint_verifies_it_starts_anew_and_says_so(
    engines: Engines, base: Path, tmp_path: Path
) -> None:
    whole = attempt(tmp_path / "whole", base, **{**SHORT, "checkpoint_limit": 1})
    engines.run(whole)
    (only,) = checkpoints(whole)
    (only / "manifest.json").unlink()
    again = attempt(tmp_path / "again", base, number=2, resume_from=[only], **SHORT)
    assert engines.run(again)["status"] == "succeeded"
    assert events(again, "started")[0]["resumed_from"] is None
    assert any("from the beginning" in event["message"] for event in events(again, "log"))
    assert losses(again) == losses(whole)


def test_only_the_newest_checkpoints_stay(engines: Engines, base: Path, tmp_path: Path) -> None:
    folder = attempt(tmp_path / "run", base, **{**SHORT, "checkpoint_limit": 2})
    engines.run(folder)
    saved = [event["name"] for event in events(folder, "checkpoint")]
    assert len(saved) > 2
    assert [path.name for path in checkpoints(folder)] == saved[-2:]


def test_the_checkpoint_of_the_lowest_validation_loss_stays(
    engines: Engines, base: Path, tmp_path: Path
) -> None:
    # What is learnt makes these answers ever less likely, once the model has left its random start.
    strange = [
        Conversation((Message.of("user", f"What is the red {thing}?"), Message.of("assistant", "zq " * 6)))
        for thing in ("house", "river", "stone", "cloud")
    ]
    settings = {**SHORT, "epochs": 6, "learning_rate": 3e-2, "checkpoint_limit": 1, "eval_steps": 2}
    folder = attempt(tmp_path / "run", base, validation=strange, eval_samples=0, **settings)
    assert engines.run(folder)["status"] == "succeeded"
    saved = [event["step"] for event in events(folder, "checkpoint")]
    measured = {e["step"]: e["values"].get("validation_loss") for e in events(folder, "metric")}
    best = min(saved, key=lambda step: measured[step])
    assert best != saved[-1]
    assert checkpoints(folder) == [folder.checkpoint(best), folder.checkpoint(saved[-1])]
    assert any(f"lowest at step {best}" in event["message"] for event in events(folder, "log"))
