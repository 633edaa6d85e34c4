"""A training goes on from an earlier model: it begins where that one was, whatever kinds of weights the two are."""

import math
from pathlib import Path
from typing import Any

import pytest

from tests.engine.conftest import Engines, events, kill_hard, losses
from tests.engine.test_resume import checkpoints, weights_of
from tests.toys import attempt, evaluation, toy_conversations
from tunery.core.attempt import AttemptFolder
from tunery.models.folder import is_adapter

ROWS = toy_conversations(24, 7)
KINDS = [("full", "full"), ("lora", "lora"), ("lora", "full"), ("full", "lora")]
ALL_AT_ONCE = {"batch_size": 24, "gradient_accumulation_steps": 1, "max_sequence_length": 64}
SHORT = {"batch_size": 4, "gradient_accumulation_steps": 1, "learning_rate": 2e-3, "max_sequence_length": 64}


@pytest.fixture(scope="module")
def earlier(
    engines: Engines, base: Path, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, AttemptFolder]:
    """A model of each kind that has learnt something."""
    found: dict[str, AttemptFolder] = {}
    for kind in ("full", "lora"):
        folder = attempt(
            tmp_path_factory.mktemp(kind) / "run",
            base,
            validation=ROWS,
            finetuning_type=kind,
            max_steps=12,
            eval_steps=12,
            **{**SHORT, "learning_rate": 5e-3 if kind == "lora" else 2e-3},
        )
        assert engines.run(folder)["status"] == "succeeded"
        found[kind] = folder
    return found


def validation_loss(folder: AttemptFolder) -> float:
    return next(
        e["values"]["validation_loss"] for e in events(folder, "metric") if "validation_loss" in e["values"]
    )


@pytest.mark.parametrize(("before", "after"), KINDS)
def test_the_first_step_has_the_earlier_models_loss(
    engines: Engines, base: Path, tmp_path: Path, earlier: dict[str, AttemptFolder], before: str, after: str
) -> None:
    known = validation_loss(earlier[before])
    rows = {"rows": ROWS, "finetuning_type": after, "max_steps": 1, **ALL_AT_ONCE}
    anew = attempt(tmp_path / "anew", base, **rows)
    engines.run(anew)
    assert losses(anew)[1] > 1.2 * known
    folder = attempt(tmp_path / "on", base, start=earlier[before].output, **rows)
    engines.run(folder)
    # A merged adapter is rounded together with what it is merged into.
    assert losses(folder)[1] == pytest.approx(
        known, rel=1e-2 if (before, after) == ("lora", "full") else 1e-4
    )
    assert is_adapter(folder.output) == (after == "lora")


@pytest.mark.parametrize(("before", "after"), KINDS)
@pytest.mark.parametrize(("method", "at_first"), [("dpo", math.log(2)), ("kto", 0.5)])
def test_preferences_are_measured_from_the_earlier_model(
    engines: Engines,
    base: Path,
    tmp_path: Path,
    earlier: dict[str, AttemptFolder],
    before: str,
    after: str,
    method: str,
    at_first: float,
) -> None:
    settings: dict[str, Any] = {**SHORT, "finetuning_type": after, "max_steps": 3}
    folder = attempt(tmp_path / "on", base, method=method, start=earlier[before].output, **settings)
    assert engines.run(folder)["status"] == "succeeded"
    assert losses(folder)[1] == pytest.approx(at_first, abs=0.02 if after == "full" else 1e-3)
    assert losses(folder)[3] != losses(folder)[1]


@pytest.mark.parametrize(
    ("before", "after", "method"), [*((*kinds, "sft") for kinds in KINDS), ("lora", "lora", "kto")]
)
def test_killed_and_resumed_equals_undisturbed(
    engines: Engines,
    base: Path,
    tmp_path: Path,
    earlier: dict[str, AttemptFolder],
    before: str,
    after: str,
    method: str,
) -> None:
    settings: dict[str, Any] = {**SHORT, "finetuning_type": after, "max_steps": 8, "checkpoint_steps": 2}
    start = earlier[before].output
    whole = attempt(tmp_path / "whole", base, method=method, start=start, **settings)
    assert engines.run(whole)["status"] == "succeeded"
    killed = attempt(tmp_path / "killed", base, method=method, start=start, **settings)
    engines.run_until(killed, 4, kill_hard)
    resumed = attempt(
        tmp_path / "resumed",
        base,
        method=method,
        start=start,
        number=2,
        resume_from=checkpoints(killed),
        **settings,
    )
    assert engines.run(resumed)["status"] == "succeeded"
    assert min(losses(resumed)) > 1
    assert {**losses(killed), **losses(resumed)} == losses(whole)
    assert weights_of(resumed) == weights_of(whole)
    # What is billed by tokens counts each step once.
    done = [[e["values"]["tokens"] for e in events(one, "metric")] for one in (whole, resumed)]
    assert done[0][-1] == done[1][-1] > done[1][0]


@pytest.mark.parametrize(("before", "after"), KINDS)
def test_an_evaluation_compares_with_where_the_training_began(
    engines: Engines, base: Path, tmp_path: Path, earlier: dict[str, AttemptFolder], before: str, after: str
) -> None:
    start = earlier[before].output
    rows = {"rows": ROWS, "finetuning_type": after, "max_steps": 2, **SHORT}
    trained = attempt(tmp_path / "on", base, start=start, **rows)
    engines.run(trained)

    def judged(name: str, **given: Any) -> dict[str, Any]:
        folder = evaluation(tmp_path / name, base, ROWS[:6], metrics=["loss"], max_new_tokens=4, **given)
        return engines.run(folder)

    compared = judged("compared", adapter=trained.output, start=start)
    alone = judged("alone", adapter=start)
    assert compared["base"]["loss"]["mean"] == pytest.approx(alone["tuned"]["loss"]["mean"], rel=1e-5)
    assert compared["tuned"]["loss"]["mean"] != compared["base"]["loss"]["mean"]
    assert alone["base"]["loss"]["mean"] > compared["base"]["loss"]["mean"]
