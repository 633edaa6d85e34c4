"""A real idle-time run makes room for another within a step, and ends as if it had been alone."""

from pathlib import Path

import pytest

from tests.e2e.test_survival import curve
from tests.e2e.whole import Whole, spec
from tests.jobs.house import alpaca
from tests.patience import wait

pytestmark = [pytest.mark.slow, pytest.mark.e2e, pytest.mark.usefixtures("held")]
HELD = 7
"""Not a step at which it would save anyway."""


def test_it_gives_way_within_a_step_and_its_curve_is_the_same(
    whole: Whole, model: Path, tmp_path: Path
) -> None:
    client = whole.start()
    client.datasets.create(alpaca(tmp_path / "rows.jsonl", 120), name="rows")
    client.datasets.wait("rows")
    same = spec(model, "rows", settings={"max_steps": 15})
    whole.hold.at(HELD)
    idle = {**same, "name": "patient", "resources": {**same["resources"], "idle_time": True}}
    run = client.runs.create(idle).id
    wait("the step", lambda: client.runs.get(run).progress.step == HELD)
    other = client.runs.create({**same, "name": "urgent"}).id
    wait("the slot", lambda: client.runs.get(other).progress.step == HELD)
    gave = client.runs.get(run)
    assert gave.waiting is not None
    assert (gave.state, gave.waiting.code, gave.waiting.ahead) == ("queued", "gave_way", ["urgent #1"])
    assert gave.progress.saved == HELD, "it gave way after the step it was at, saved"
    whole.hold.release()
    assert client.runs.wait(other).state == "succeeded"
    ended = client.runs.wait(run)
    assert (ended.state, ended.attempt) == ("succeeded", 2)
    assert len(curve(client, other)) == 15
    assert curve(client, run) == curve(client, other)
