"""Idle-time runs: they save, give way to others, come back by themselves, and learn as if nothing had been."""

from pathlib import Path

import pytest

from tests.jobs.house import House
from tunery.services import datasets, runs

IDLE = {"idle_time": True}


@pytest.fixture
def working(house: House) -> House:
    def imported() -> bool:
        with house.context() as ctx:
            return datasets.get_version(ctx, "rows").state == "published"

    house.start_worker()
    house.wait("the import", imported)
    return house


def said(house: House, run: str) -> list[str]:
    with house.context() as ctx:
        return [one["message"] for one in runs.events(ctx, run) if one["type"] == "log"]


def test_it_gives_way_and_comes_back(working: House, model: Path) -> None:
    working.hold.at(50)  # none comes to its end before it is looked at
    idle = working.submit(model, 100, name="idle", resources=IDLE)
    later = working.submit(model, 5, name="later", resources=IDLE)
    working.wait_for_step(idle, 7)
    urgent = working.submit(model, 60, name="urgent")
    working.wait_for_step(urgent, 1)
    waits = working.run(idle)
    assert waits.waiting is not None
    assert (waits.state, waits.waiting.code, waits.waiting.ahead[0]) == ("queued", "gave_way", "urgent #1")
    assert [stage.state for stage in waits.stages[:2]] == ["succeeded", "waiting"]
    behind = working.run(later).waiting
    assert behind is not None
    assert (behind.code, behind.ahead) == ("idle_time", ["urgent #1", "idle #1"])
    working.hold.release()
    ended = working.wait_for_state(idle, "succeeded", "failed")
    assert (ended.state, ended.attempt) == ("succeeded", 2)
    assert working.run(urgent).state == "succeeded"
    assert working.losses(idle) == [1 / step for step in range(1, 101)]
    told = said(working, idle)
    assert "Asked to give way to urgent #1." in told
    (gave,) = [
        one for one in told if one.startswith("Gave way to urgent #1; it continues automatically from step")
    ]
    step = int(gave.rstrip(".").rpartition(" ")[2])
    assert step >= 7
    (came,) = [one for one in told if one.startswith("Continues after ")]
    assert came.endswith(f"from step {step}.")
    first, second = working.run(idle).ended, working.wait_for_state(later, "succeeded", "failed").started
    assert first is not None
    assert second is not None
    assert first <= second, "the older of the two comes back first"


@pytest.mark.parametrize(
    ("verb", "state"), [("stop", "stopped"), ("cancel", "cancelled"), ("pause", "paused")]
)
def test_what_a_person_asks_of_one_that_gave_way(working: House, model: Path, verb: str, state: str) -> None:
    idle = working.submit(model, 100_000, name="idle", resources=IDLE)
    working.wait_for_step(idle, 3)
    urgent = working.submit(model, 100_000, name="urgent")
    working.wait_for_step(urgent, 1)
    working.ask(idle, verb)
    assert working.run(idle).state == state
    with working.context() as ctx:
        assert runs.checkpoints(ctx, idle)
    working.ask(urgent, "cancel")
    working.wait_for_state(urgent, "cancelled")
    if verb == "pause":
        working.ask(idle, "resume")
        working.wait("it to go on", lambda: working.run(idle).attempt == 2)
        working.ask(idle, "cancel")
        working.wait_for_state(idle, "cancelled")
