"""Several hands at once, and ends at awkward moments: whatever happens is whole, or it didn't happen."""

import os
import shutil
import signal
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sqlalchemy import select, update

from tests.jobs.house import House, alpaca
from tunery.core.attempt import attempt_folder
from tunery.core.errors import Problem
from tunery.core.folder import DataFolder
from tunery.core.process import ProcessIdentity
from tunery.db.engine import reading, writing
from tunery.db.tables import attempt, model_version, task
from tunery.jobs import worker
from tunery.jobs.work import Work
from tunery.schemas.dataset import ImportOptions
from tunery.schemas.model import PublishRequest
from tunery.services import datasets, imports, models
from tunery.services.context import Context
from tunery.services.staging import sweep_uploads


def state_of(house: House, name: str) -> str:
    with reading(house.engine) as connection:
        ctx = Context(connection, house.settings, house.blobs, house.project)
        return datasets.get_version(ctx, name).state


@pytest.fixture
def working(house: House) -> House:
    house.start_worker()
    house.wait("the import", lambda: state_of(house, "rows") == "published")
    return house


def uploads(house: House) -> list[str]:
    return os.listdir(DataFolder(house.settings.folder).uploads)


def task_states(house: House, run: str) -> list[str]:
    with reading(house.engine) as connection:
        return list(connection.scalars(select(task.c.state).where(task.c.run_id == run)))


# -- imports


def test_a_worker_killed_amid_an_import_is_as_if_it_never_was(house: House, tmp_path: Path) -> None:
    count = 300_000
    house.import_rows("large", alpaca(tmp_path / "large.jsonl", count))
    worker = house.start_worker()

    def scratch() -> list[Path]:
        return list(DataFolder(house.settings.folder).uploads.glob("*/*/*"))

    house.kill_amid(worker, "the import", lambda: scratch() and state_of(house, "large") == "importing")
    assert state_of(house, "large") == "importing"
    assert scratch()
    house.start_worker()
    house.wait("the import", lambda: state_of(house, "large") != "importing")
    with house.context() as ctx:
        version = datasets.get_version(ctx, "large")
        assert (version.state, version.version, version.rows) == ("published", 1, count)
        (last,) = datasets.read_rows(ctx, "large", 1, count - 1).rows
    assert last["messages"][1]["content"][0]["text"] == f"{count - 1}!"
    house.wait("the upload to go", lambda: uploads(house) == [])


def test_deleting_a_dataset_ends_its_import(house: House, tmp_path: Path) -> None:
    house.import_rows("large", alpaca(tmp_path / "large.jsonl", 300_000))
    house.start_worker()

    begun: list[str] = []

    def deleted_amid() -> bool:
        """Nobody else writes between the look and the deletion."""
        with house.context() as ctx:
            task_id = datasets.get_dataset(ctx, "large").task
            if task_id is None or not any("." in path for path in uploads(house)):
                return False
            datasets.delete_dataset(ctx, "large")
        begun.append(task_id)
        return True

    house.wait("the import to begin", deleted_amid)
    house.wait("nothing to be left", lambda: uploads(house) == [])
    with reading(house.engine) as connection:
        assert connection.scalar(select(task.c.state).where(task.c.id == begun[0])) == "cancelled"
    with house.context() as ctx, pytest.raises(Problem):
        datasets.get_dataset(ctx, "large")
    house.import_rows("large", alpaca(tmp_path / "again.jsonl", 120))
    house.wait("the name to be free", lambda: state_of(house, "large") == "published")


def test_what_dead_imports_left_is_swept_and_what_waits_is_not(house: House) -> None:
    folder = DataFolder(house.settings.folder).uploads
    (waiting,) = os.listdir(folder)
    (folder / "dsv_gone").write_bytes(b"x")
    (folder / "dsv_gone.3").mkdir()
    (folder / f"{waiting}.1").mkdir()
    with reading(house.engine) as connection:
        sweep_uploads(connection, folder)
    assert sorted(uploads(house)) == [waiting, f"{waiting}.1"]


def test_an_upload_whose_transaction_fails_is_not_kept(house: House, tmp_path: Path) -> None:
    before = uploads(house)
    file = alpaca(tmp_path / "lost.jsonl", 3)
    with pytest.raises(ZeroDivisionError):
        import_and_fail(house, file)
    assert uploads(house) == before


def import_and_fail(house: House, file: Path) -> None:
    with house.context() as ctx:
        imports.import_file(ctx, name="lost", source=file, filename="lost", options=ImportOptions())
        raise ZeroDivisionError


def test_a_dataset_may_go_while_a_run_uses_it(working: House, model: Path) -> None:
    working.hold.at(20)
    run = working.submit(model, 40, publish={"auto": True})
    waiting = working.submit(model, 5)
    working.wait_for_step(run, 3)
    with working.context() as ctx:
        datasets.delete_dataset(ctx, "rows")
    working.hold.release()
    assert working.wait_for_state(run, "succeeded", "failed").model is not None
    assert working.wait_for_state(waiting, "succeeded", "failed").state == "succeeded"


# -- runs


def test_the_second_run_waits_for_the_engine(working: House, model: Path) -> None:
    working.hold.at(30)
    first, second = working.submit(model, 60), working.submit(model, 5)
    working.wait_for_step(first, 30)
    assert working.run(second).state == "queued"
    assert working.run(second).started is None
    working.hold.release()
    ended = working.wait_for_state(second, "succeeded", "failed")
    assert ended.state == "succeeded"
    assert (ended.started or 0) >= (working.run(first).ended or 0)


@pytest.mark.parametrize(
    ("verb", "state"), [("pause", "paused"), ("cancel", "cancelled"), ("stop", "cancelled")]
)
def test_asked_while_it_is_prepared(house: House, model: Path, tmp_path: Path, verb: str, state: str) -> None:
    """The rows are laid out before an engine is there; the task is running, the run is not yet."""
    house.start_worker()
    house.wait("the import", lambda: state_of(house, "rows") == "published")
    house.workers[0].kill()
    house.workers[0].wait()
    run = house.submit(model, 5)
    with writing(house.engine) as connection:  # as a worker that died right after its claim
        connection.execute(update(task).where(task.c.run_id == run).values(state="running", lease_until=0))
    house.ask(run, verb)
    house.start_worker()
    house.wait("the task to be ended", lambda: task_states(house, run) == ["cancelled"])
    # Whoever has done another import since has had the time to do what it must not.
    house.import_rows("later", alpaca(tmp_path / "later.jsonl", 3))
    house.wait("the next import", lambda: state_of(house, "later") == "published")
    found = house.run(run)
    assert (found.state, found.attempt) == (state, 0)
    assert not any(stage.state == "running" for stage in found.stages)
    assert task_states(house, run) == ["cancelled"]
    if verb == "pause":
        house.ask(run, "resume")
        assert house.wait_for_state(run, "succeeded", "failed").state == "succeeded"


@pytest.mark.parametrize(("verb", "state"), [("pause", "paused"), ("cancel", "cancelled")])
def test_asked_while_its_engine_hears_nothing(working: House, model: Path, verb: str, state: str) -> None:
    """An engine that was killed instead of answering isn't started again to be asked once more."""
    run = working.submit(model, 100_000)
    working.wait_for_step(run, 6)
    engine = working.engine_process(run, 1)
    assert engine is not None
    os.kill(engine.pid, signal.SIGSTOP)
    working.ask(run, verb)
    if verb == "pause":  # it has two minutes to save; this is what comes after
        os.kill(engine.pid, signal.SIGKILL)
    ended = working.wait_for_state(run, state, "failed", "succeeded")
    assert (ended.state, ended.attempt) == (state, 1)
    assert not engine.alive()
    if verb == "pause":
        working.ask(run, "resume")
        working.wait_for_step(run, 30)
        working.ask(run, "cancel")
        assert working.wait_for_state(run, "cancelled").attempt == 2


def test_cancelled_before_the_attempt_of_a_dead_worker_is_taken_over(working: House, model: Path) -> None:
    run = working.submit(model, 100_000)
    working.wait_for_step(run, 6)
    engine = working.engine_process(run, 1)
    assert engine is not None
    working.workers[0].kill()
    working.workers[0].wait()
    os.kill(engine.pid, signal.SIGKILL)
    working.ask(run, "cancel")
    working.start_worker()
    assert working.wait_for_state(run, "cancelled", "failed").attempt == 1


@pytest.mark.parametrize(
    ("verb", "state"), [("pause", "paused"), ("stop", "stopped"), ("cancel", "cancelled")]
)
def test_asked_before_it_is_published(working: House, model: Path, verb: str, state: str) -> None:
    working.hold.at(10)
    run = working.submit(model, 30, publish={"auto": True})
    working.wait_for_step(run, 1)
    working.workers[0].kill()
    working.workers[0].wait()
    working.hold.release()
    result = attempt_folder(working.settings.folder, run, 1).result
    working.wait("the engine to end", result.exists)
    working.ask(run, verb)
    working.start_worker()
    assert working.wait_for_state(run, state, "succeeded", "failed").state == state
    place = working.settings.folder / "models"
    working.wait("the copy to go", lambda: os.listdir(place) == [])
    with reading(working.engine) as connection:
        assert connection.scalars(select(model_version.c.id)).all() == []
    if verb == "pause":
        working.ask(run, "resume")
        assert working.wait_for_state(run, "succeeded", "failed").model is not None


# -- awkward moments of an attempt


def test_a_worker_killed_before_it_started_the_engine(working: House, model: Path) -> None:
    run = working.submit(model, 100_000)
    working.wait_for_step(run, 2)
    working.workers[0].kill()
    working.workers[0].wait()
    engine = working.engine_process(run, 1)
    assert engine is not None
    os.kill(engine.pid, signal.SIGKILL)
    # As if the row had been all: no folder, no process.
    shutil.rmtree(attempt_folder(working.settings.folder, run, 1).path)
    with writing(working.engine) as connection:
        connection.execute(update(attempt).values(event_offset=0))
    working.start_worker()
    working.wait("the second attempt", lambda: working.run(run).attempt == 2)
    working.wait_for_step(run, 10)
    working.ask(run, "cancel")
    working.wait_for_state(run, "cancelled")


def test_an_engine_that_nobody_noted_is_found(working: House, model: Path) -> None:
    """The worker died between starting the engine and writing down which process it is."""
    run = working.submit(model, 100_000)
    working.wait_for_step(run, 5)
    working.workers[0].kill()
    working.workers[0].wait()
    engine = working.engine_process(run, 1)
    assert engine is not None
    note = attempt_folder(working.settings.folder, run, 1).process
    note.unlink()
    working.start_worker()
    working.wait("the engine to be noted again", lambda: ProcessIdentity.load(note) == engine)
    working.ask(run, "stop")
    ended = working.wait_for_state(run, "succeeded", "stopped", "failed")
    assert (ended.state, ended.attempt) == ("stopped", 1)
    losses = working.losses(run)
    assert losses == [1 / n for n in range(1, len(losses) + 1)]


# -- publishing


def test_published_by_many_hands_it_is_one_version(working: House, model: Path) -> None:
    run = working.submit(model, 10)
    working.wait_for_state(run, "succeeded", "failed")

    def publish(_: int) -> str:
        with working.context() as ctx:
            return models.publish(ctx, PublishRequest(run=run, name="tuned", step=None)).id

    with ThreadPoolExecutor(6) as pool:
        asked = list(pool.map(publish, range(6)))

    def ended() -> list[str]:
        with reading(working.engine) as connection:
            return list(connection.scalars(select(task.c.state).where(task.c.id.in_(asked))))

    working.wait("all to end", lambda: not {"queued", "running"} & set(ended()))
    assert set(ended()) == {"succeeded"}
    with working.context() as ctx:
        (version,) = models.list_versions(ctx, "tuned")
    assert version.version == 1
    assert len(os.listdir(working.settings.folder / "models")) == 1


def test_steps_published_at_once_are_numbered_versions(working: House, model: Path) -> None:
    run = working.submit(model, 20)
    working.wait_for_state(run, "succeeded", "failed")
    for step in (5, 10, 15, 20):
        with working.context() as ctx:
            models.publish(ctx, PublishRequest(run=run, name="tuned", step=step))
    working.wait("all to be published", lambda: task_states(working, run).count("succeeded") == 5)
    with working.context() as ctx:
        found = models.list_versions(ctx, "tuned")
    assert [version.version for version in found] == [4, 3, 2, 1]
    assert sorted(version.step for version in found) == [5, 10, 15, 20]


def test_a_worker_killed_amid_publishing_leaves_one_whole_version(working: House, model: Path) -> None:
    run = working.submit(model, 10)
    working.wait_for_state(run, "succeeded", "failed")
    output = attempt_folder(working.settings.folder, run, 1).output
    with (output / "large.safetensors").open("wb") as file:
        for _ in range(200):
            file.write(os.urandom(2**20))
    with working.context() as ctx:
        models.publish(ctx, PublishRequest(run=run, name="tuned", step=None))
    place = working.settings.folder / "models"
    working.kill_amid(working.workers[0], "the copying", lambda: any(place.glob(".mv_*")))
    assert any(place.glob(".mv_*"))
    working.start_worker()
    working.wait("the publishing", lambda: task_states(working, run) == ["succeeded"] * 2)
    (published,) = list(place.iterdir())
    assert sorted(path.name for path in published.iterdir()) == ["large.safetensors", "model.safetensors"]
    assert (published / "large.safetensors").stat().st_size == 200 * 2**20


def test_a_worker_that_claims_its_own_lapsed_task_ends_the_earlier_work_first(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As after a stop of the whole process, or an outage of the database, for longer than the lease."""
    seen: list[tuple[str, int]] = []
    goes_on = threading.Event()

    def handle(work: Work) -> None:
        seen.append(("begins", work.claim.token))
        goes_on.wait()
        seen.append(("ends", work.claim.token))

    monkeypatch.setattr(worker, "_handle", handle)
    this = worker.Worker(house.engine, house.settings, house.blobs)
    assert this._claim_one()  # the import of the house's rows
    ((first, one),) = this._held.values()
    house.wait("the first", lambda: seen)
    with writing(house.engine) as connection:
        connection.execute(update(task).where(task.c.id == first.claim.task).values(lease_until=0))
    assert this._claim_one()
    ((second, two),) = this._held.values()
    assert first.lost.is_set()
    goes_on.set()
    one.join()
    two.join()
    tokens = (first.claim.token, second.claim.token)
    assert seen == [(what, token) for token in tokens for what in ("begins", "ends")]
