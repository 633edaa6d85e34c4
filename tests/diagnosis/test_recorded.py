"""The diagnosis on recorded curves of real trainings; `bench/curves.py` made them, curves.json says how."""

import csv
import json
from pathlib import Path
from typing import Any

import pytest

from tunery.diagnosis.history import Curve, History
from tunery.diagnosis.look import diagnose

FOLDER = Path(__file__).parent / "curves"
RECORDED: dict[str, dict[str, Any]] = json.loads((FOLDER / "curves.json").read_text())


def recorded(name: str) -> History:
    known = RECORDED[name]
    with (FOLDER / f"{name}.csv").open() as file:
        rows = list(csv.DictReader(file))

    def curve(column: str) -> Curve:
        points = [(int(row["step"]), float(row[column])) for row in rows if row[column]]
        return Curve.of([step for step, _ in points], [value for _, value in points])

    return History(
        train=curve("train"),
        validation=curve("validation"),
        learning_rate=curve("learning_rate"),
        grad_norm=curve("grad_norm"),
        steps=known["steps"],
        ended=True,
        words=known["words"],
        settings=known["made"]["settings"],
        counts=known["counts"],
        standing_out={int(step): tuple(rows) for step, rows in known["standing_out"].items()},
    )


@pytest.mark.parametrize("name", RECORDED)
def test_a_real_training_is_seen_as_what_it_is(name: str) -> None:
    found = {one.code: one for one in diagnose(name, recorded(name)).findings}
    expected = RECORDED[name]["expected"]
    assert set(expected) <= set(found)
    if not expected:
        # That a low loss wants rows apart is true of good trainings too.
        assert set(found) <= {"low_loss"}
        assert all(one.severity == "hint" for one in found.values())


def test_a_spike_names_the_rows_that_were_broken() -> None:
    found = next(one for one in diagnose("", recorded("broken-rows")).findings if one.code == "spike")
    assert {76, 131, 201} <= set(found.rows)
