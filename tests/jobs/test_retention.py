"""What is removed of finished runs, and what never is."""

import os
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import func, select, update

from tests.jobs.house import House
from tests.jobs.test_survival import imported
from tunery.core.attempt import attempt_folder
from tunery.core.settings import ServerSettings
from tunery.db.engine import reading, writing
from tunery.db.tables import event, model_version, run, task
from tunery.jobs import queue, worker
from tunery.jobs.states import move_run
from tunery.jobs.work import Work
from tunery.schemas.retention import Part, Rule
from tunery.services import retention, runs

DAY = 24 * 3600 * 1_000_000
HALF_A_DAY = DAY // 2


@pytest.fixture
def lived(house: House, model: Path) -> dict[str, str]:
    """Runs in every kind of state, with checkpoints, logs and events."""
    house.start_worker()
    house.wait("the import", lambda: imported(house))
    made = {"good": house.submit(model, 22, publish={"auto": True, "name": "kept"})}
    house.wait_for_state(made["good"], "succeeded")
    house.hold.at(40)
    for name in ("paused", "failed"):
        made[name] = house.submit(model, 60)
        house.wait_for_step(made[name], 12)
        house.ask(made[name], "pause")
        house.wait_for_state(made[name], "paused")
    house.hold.release()
    house.workers[0].terminate()
    house.workers[0].wait()
    with writing(house.engine) as connection:
        # As one whose engines crashed too often.
        connection.execute(update(run).where(run.c.id == made["failed"]).values(state="running"))
        move_run(connection, made["failed"], "failed", reason=None)
    for id in made.values():
        attempt_folder(house.settings.folder, id, 1).log.write_text("printed\n")
    return made


def age(house: House, days: int) -> None:
    with writing(house.engine) as connection:
        connection.execute(update(run).values(ended=run.c.ended - days * DAY))


def rules(house: House, settings: ServerSettings) -> dict[Part, Rule]:
    with house.context() as ctx:
        found = retention.show(replace(ctx, settings=settings))
    return {rule.part: rule for rule in found.rules}


def trim(house: House, settings: ServerSettings) -> dict[str, dict[str, int]]:
    with house.context() as ctx:
        id = retention.trim(ctx).id
        assert retention.trim(ctx).id == id  # one that waits is not doubled
    held = queue.claim(house.engine, "trimmer", ["trim"], 60)
    assert held is not None
    worker._perform(Work(held, house.engine, settings, house.blobs))
    with reading(house.engine) as connection:
        done = connection.execute(select(task.c.state, task.c.result).where(task.c.id == id)).one()
    assert done.state == "succeeded"
    return done.result


def steps(house: House, id: str) -> list[int]:
    with house.context() as ctx:
        listed = sorted(one.step for one in runs.checkpoints(ctx, id))
    folders = house.settings.folder.joinpath("runs", id).glob("*/checkpoints/step-*")
    assert sorted(int(folder.name.removeprefix("step-")) for folder in folders) == listed
    return listed


def test_what_goes_and_what_stays(house: House, lived: dict[str, str]) -> None:
    settings = house.settings.model_copy(update={"keep_logs_days": 40, "keep_events_days": 40})
    age(house, 30)
    assert [rule.count for rule in rules(house, settings).values()] == [0, 0, 0, 0]
    age(house, 11)
    left = house.settings.folder / "runs" / "run_undone"
    for folder in (left / "start", house.settings.folder / "runs" / "run_being_submitted"):
        folder.mkdir(parents=True)
    (left / "start" / "model.safetensors").write_bytes(bytes(1000))
    os.utime(left, (1, 1))
    before = {name: steps(house, id) for name, id in lived.items()}
    assert before["good"] == [5, 10, 15, 20]
    # A trim that was killed had put this one aside, and not yet forgotten it.
    aside = house.settings.folder / "runs" / ".trimmed"
    aside.mkdir()
    attempt_folder(house.settings.folder, lived["good"], 1).checkpoint(5).rename(aside / "one")
    said = rules(house, settings)
    assert (said["orphans"].count, said["orphans"].bytes) == (1, 1000)
    assert said["events"].count == 2

    removed = trim(house, settings)

    assert removed["checkpoints"]["count"] == said["checkpoints"].count == 4 + len(before["failed"]) - 1
    assert removed["logs"] == {"count": said["logs"].count, "bytes": said["logs"].bytes}
    assert said["logs"].count == 4
    assert removed["orphans"] == {"count": 1, "bytes": 1000}
    assert (left.exists(), left.with_name("run_being_submitted").exists()) == (False, True)
    assert not aside.exists()
    # Its model stays, and what was published of it; of a run without a model the newest checkpoint.
    assert steps(house, lived["good"]) == []
    assert attempt_folder(house.settings.folder, lived["good"], 1).output.is_dir()
    with reading(house.engine) as connection:
        assert Path(connection.scalars(select(model_version.c.folder)).one()).is_dir()
        many = select(event.c.run_id, func.count()).group_by(event.c.run_id)
        events = dict(iter(connection.execute(many)))
    assert steps(house, lived["failed"]) == before["failed"][-1:]
    assert [events[lived["good"]], events[lived["failed"]]] == [1, 1]
    assert house.losses(lived["good"]) == [1 / n for n in range(1, 23)]
    # What can be resumed is whole, and is resumed.
    assert steps(house, lived["paused"]) == before["paused"]
    assert events[lived["paused"]] > 3
    assert [rule.count for rule in rules(house, settings).values()] == [0, 0, 0, 0]
    house.ask(lived["paused"], "resume")
    house.start_worker()
    house.wait_for_state(lived["paused"], "succeeded", "failed")
    assert house.losses(lived["paused"]) == [1 / n for n in range(1, 61)]


def test_once_a_day(house: House) -> None:
    def due() -> bool:
        with writing(house.engine) as connection:
            found = retention.due(connection)
            retention.trim_due(connection, found)
        return found == [house.project]

    def set_back(us: int) -> None:
        with writing(house.engine) as connection:
            connection.execute(update(task).where(task.c.kind == "trim").values(created=task.c.created - us))

    assert [due(), due()] == [True, False]
    set_back(HALF_A_DAY)
    assert not due()
    set_back(HALF_A_DAY)
    assert [due(), due()] == [True, False]
    set_back(-DAY)  # a clock that went a day ahead asked for it
    assert due()
