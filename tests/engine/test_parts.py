"""Each dataset of a recipe has its own loss, and they add up to the whole."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.engine.conftest import Engines, events
from tests.families.lab import Trained
from tests.toys import attempt, toy_conversations, toy_rows
from tunery.engine.parts import Parts
from tunery.methods.point import Loss
from tunery.schemas.engine import Part

WHOLE: dict[str, Any] = {
    "epochs": 1,
    "batch_size": 4,
    "gradient_accumulation_steps": 2,
    "learning_rate": 2e-3,
    "max_sequence_length": 64,
}


@pytest.mark.parametrize("method", ["sft", "pretrain", "dpo", "kto", "orpo", "reward"])
def test_what_the_examples_add_is_the_batchs_loss(
    base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    seen: list[Loss] = []

    class Asking(Parts):
        def split(self, rows: Any, loss: Loss) -> dict[str, tuple[float, float]]:
            assert loss.by_example is not None
            assert [len(part) for part in loss.by_example] == [len(rows)] * 2
            seen.append(replace(loss, total=loss.total.detach()))
            return super().split(rows, loss)

    monkeypatch.setattr("tunery.engine.train.Parts", Asking)
    torch.set_num_threads(1)
    Trained(tmp_path / "run", base, method=method, rows=toy_rows(method, 16), **{**WHOLE, "max_steps": 2})
    assert seen
    for loss in seen:
        totals, weights = loss.by_example or ()
        assert float(totals.double().sum()) == pytest.approx(float(loss.total), rel=1e-5)
        assert float(weights.sum()) == loss.weight


@pytest.mark.parametrize("packing", [False, True], ids=["rows", "packed"])
def test_every_dataset_has_its_curves(engines: Engines, base: Path, tmp_path: Path, packing: bool) -> None:
    learnt, strange = toy_conversations(24, 1), toy_conversations(8, 2)
    parts = [
        Part(title="large@1", train=24, validation=4),
        Part(title="empty@1", train=0),
        Part(title="small@2 (replay)", train=8, validation=4),
    ]
    folder = attempt(
        tmp_path / "run",
        base,
        rows=[*learnt, *strange],
        validation=[*learnt[:4], *strange[:4]],
        parts=parts,
        packing=packing,
        eval_steps=1,
        **{**WHOLE, "epochs": 3},
    )
    assert engines.run(folder)["status"] == "succeeded"
    measured = [event["values"] for event in events(folder, "metric")]
    assert {name for values in measured for name in values if "/" in name} == {
        "train_loss/large@1",
        "train_loss/small@2 (replay)",
        "validation_loss/large@1",
        "validation_loss/small@2 (replay)",
    }
    for values in measured:
        for curve in ("train_loss", "validation_loss"):
            own = [value for name, value in values.items() if name.startswith(f"{curve}/")]
            if own:
                assert min(own) - 1e-6 <= values[curve] <= max(own) + 1e-6


def test_one_dataset_has_no_curve_of_its_own(engines: Engines, base: Path, tmp_path: Path) -> None:
    folder = attempt(tmp_path / "run", base, parts=[Part(title="only@1", train=64)], max_steps=2, **WHOLE)
    assert engines.run(folder)["status"] == "succeeded"
    assert not any("/" in name for event in events(folder, "metric") for name in event["values"])
