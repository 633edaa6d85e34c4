"""A run that is started ends well, whatever is killed: real worker processes, real engines' processes, kill -9."""

import os
import re
import signal
from pathlib import Path

import pytest
from sqlalchemy import select, update

from tests.jobs.house import FAKE_ENGINE, House, alpaca, bare_model
from tests.patience import PATIENCE
from tunery.core.attempt import attempt_folder
from tunery.core.settings import ServerSettings
from tunery.db.engine import reading, writing
from tunery.db.tables import attempt, worker
from tunery.schemas.model import AddBaseModel
from tunery.services import base_models, datasets, runs

HOUR = 3600 * 1_000_000


def imported(house: House) -> bool:
    """The dataset's import is a task like any other; a worker has done it."""
    with house.context() as ctx:
        return datasets.get_version(ctx, "rows").state == "published"


def said(house: House, run: str) -> list[str]:
    with house.context() as ctx:
        return [one["message"] for one in runs.events(ctx, run, metrics=False) if one["type"] == "log"]


def started(house: House) -> House:
    house.start_worker()
    house.wait("the import", lambda: imported(house))
    return house


@pytest.fixture
def working(house: House) -> House:
    return started(house)


def test_undisturbed(working: House, model: Path) -> None:
    run = working.submit(model, 20)
    ended = working.wait_for_state(run, "succeeded", "failed")
    assert (ended.state, ended.progress.step, ended.attempt) == ("succeeded", 20, 1)
    assert working.losses(run) == [1 / n for n in range(1, 21)]


def test_every_attempt_that_printed_something_has_its_log(working: House, model: Path) -> None:
    run = working.submit(model, 5, evaluate={"dataset": {"dataset": "rows"}, "max_rows": 2})
    working.wait_for_state(run, "succeeded", "failed")
    for number, stage in ((1, "train"), (2, "evaluate")):
        attempt_folder(working.settings.folder, run, number, stage).log.write_text(f"{stage}\n")
    with working.context() as ctx:
        newest, first = runs.log(ctx, run), runs.log(ctx, run, attempt_number=1)
    assert [(one.attempt, one.stage) for one in newest.logs] == [(1, "train"), (2, "evaluate")]
    assert (newest.attempt, newest.text, first.attempt, first.text) == (2, "evaluate\n", 1, "train\n")


@pytest.mark.parametrize("victim", ["engine", "worker", "both"])
def test_killed_and_resumed(working: House, model: Path, victim: str) -> None:
    working.hold.at(40)
    run = working.submit(model, 60)
    working.wait_for_step(run, 12)
    engine = working.engine_process(run, 1)
    assert engine is not None
    if victim in ("worker", "both"):
        working.workers[0].kill()
        working.workers[0].wait()
    if victim in ("engine", "both"):
        os.kill(engine.pid, signal.SIGKILL)
    if victim != "engine":
        working.start_worker()
    working.hold.release()
    ended = working.wait_for_state(run, "succeeded", "failed")
    assert (ended.state, ended.progress.step) == ("succeeded", 60)
    # A worker's death is not its engine's: the next worker takes it over where it is.
    assert ended.attempt == (1 if victim == "worker" else 2)
    with working.context() as ctx:
        resumed = [one["resumed_from"] for one in runs.events(ctx, run) if one["type"] == "started"]
    assert resumed == [None] if victim == "worker" else resumed[1] >= 10
    told = said(working, run)
    assert ("Training was interrupted: its process ended unexpectedly." in told) == (victim != "worker")
    assert f"Training continues from step {resumed[-1]}, " in "".join(told) or victim == "worker"
    assert working.losses(run) == [1 / n for n in range(1, 61)]


def test_a_frozen_worker_is_fenced(house: House, model: Path) -> None:
    house.settings = house.settings.model_copy(update={"lease_seconds": 1.5})
    working = started(house)
    working.hold.at(60)
    run = working.submit(model, 90)
    working.wait_for_step(run, 5)
    working.freeze(working.workers[0])
    working.start_worker()
    working.wait_for_step(run, 60)
    os.kill(working.workers[0].pid, signal.SIGCONT)
    working.wait("the frozen one to notice", lambda: "lost the claim" in working.log())
    working.hold.release()
    ended = working.wait_for_state(run, "succeeded", "failed")
    assert (ended.state, ended.attempt) == ("succeeded", 1)
    assert working.losses(run) == [1 / n for n in range(1, 91)]


def test_a_worker_told_to_end_saves_first(working: House, model: Path) -> None:
    working.hold.at(40)
    run = working.submit(model, 60)
    working.wait_for_step(run, 12)
    working.workers[0].terminate()
    assert working.workers[0].wait(timeout=PATIENCE) == 0
    working.hold.release()
    engine = working.engine_process(run, 1)
    assert engine is not None
    assert not engine.alive()
    with writing(working.engine) as connection:  # the server stays down for an hour
        connection.execute(update(attempt).values(ended=attempt.c.ended - HOUR))
    working.start_worker()
    ended = working.wait_for_state(run, "succeeded", "failed")
    assert ended.attempt == 2
    assert working.losses(run) == [1 / n for n in range(1, 61)]
    # The hour isn't counted as training, and the events say what happened.
    train = next(one for one in ended.stages if one.name == "train")
    assert HOUR <= train.idle < HOUR + 600 * 1_000_000
    told = said(working, run)
    assert "Training was interrupted: the server was shut down." in told
    (again,) = [one for one in told if one.startswith("Training continues from step ")]
    assert re.search(r", 1 h \d min after it was interrupted \(attempt 2\)\.$", again)


def test_stop_and_keep(working: House, model: Path) -> None:
    run = working.submit(model, 100_000)
    working.wait_for_step(run, 5)
    working.ask(run, "stop")
    ended = working.wait_for_state(run, "stopped", "failed")
    assert 5 <= ended.progress.step < 100_000


def test_pause_and_resume(working: House, model: Path) -> None:
    working.hold.at(60)
    run = working.submit(model, 80)
    working.wait_for_step(run, 5)
    working.ask(run, "pause")
    paused = working.wait_for_state(run, "paused", "failed").progress
    working.hold.release()
    assert paused.saved == paused.step >= 5
    working.ask(run, "resume")
    ended = working.wait_for_state(run, "succeeded", "failed")
    assert (ended.state, ended.attempt) == ("succeeded", 2)
    assert working.losses(run) == [1 / n for n in range(1, 81)]


def test_cancel(working: House, model: Path) -> None:
    run = working.submit(model, 100_000)
    working.wait_for_step(run, 5)
    working.ask(run, "cancel")
    working.wait_for_state(run, "cancelled", "failed")


def test_a_run_that_gains_nothing_fails_with_the_last_words(working: House, tmp_path: Path) -> None:
    crash = bare_model(tmp_path, "crash")
    with working.context() as ctx:
        base_models.add_base_model(ctx, AddBaseModel(path=str(crash), name="crash"))
    run = working.submit(Path("crash"), 10)
    ended = working.wait_for_state(run, "failed", "succeeded")
    assert ended.attempt == 3
    assert ended.reason is not None
    assert ended.reason["code"] == "engine_crashed"
    assert "the base model is cursed" in ended.reason["message"]


def test_a_dead_worker_is_noticed_before_its_lease_ends(tmp_path: Path, model: Path) -> None:
    settings = ServerSettings(
        data=tmp_path / "data",
        engine_command=FAKE_ENGINE,
        heartbeat_seconds=0.3,
        lease_seconds=3600,
        standby_engines=0,
    )
    house = House(tmp_path, settings)
    house.import_rows("rows", alpaca(tmp_path / "rows.jsonl", 120))
    try:
        first = house.start_worker()
        house.wait("the import", lambda: imported(house))
        house.hold.at(50)
        run = house.submit(model, 60)
        house.wait_for_step(run, 5)
        house.start_worker()
        house.wait("the second worker", lambda: len(workers(house)) == 2)
        first.kill()
        first.wait()
        house.wait("the dead to be struck off", lambda: len(workers(house)) == 1)
        house.hold.release()
        ended = house.wait_for_state(run, "succeeded", "failed")
        assert (ended.state, ended.attempt) == ("succeeded", 1)
    finally:
        house.close()


def workers(house: House) -> list[str]:
    with reading(house.engine) as connection:
        return list(connection.scalars(select(worker.c.id)))
