"""Engines that wait: a run gets one, and whoever is killed when, nothing is lost and nothing stays behind."""

import os
import signal
from pathlib import Path

import pytest

from tests.jobs.house import House
from tests.patience import PATIENCE
from tunery.cli.checks import examine
from tunery.core.files import read_json
from tunery.core.folder import DataFolder
from tunery.core.process import ProcessIdentity
from tunery.jobs import standby
from tunery.schemas.standby import StandbyReport
from tunery.services import datasets


@pytest.fixture
def database_url() -> str:
    return ""


def report(house: House) -> StandbyReport | None:
    path = DataFolder(house.settings.folder).standby
    return StandbyReport.model_validate(read_json(path)) if path.exists() else None


def listens(pid: int) -> bool:
    return len(os.listdir(f"/proc/{pid}/task")) > 1


def waiting(house: House, but: ProcessIdentity | None = None) -> ProcessIdentity:
    """The engine that waits, once it is another than `but`, and listens: for that it has a thread."""
    found: list[ProcessIdentity] = []

    def there() -> bool:
        told = report(house)
        found[:] = [ProcessIdentity(**one) for one in told.processes] if told else []  # pyright: ignore[reportArgumentType]
        return bool(found) and found[0] != but and found[0].alive() and listens(found[0].pid)

    house.wait("an engine that waits", there)
    return found[0]


@pytest.fixture
def working(house: House) -> House:
    return begin(house)


def begin(house: House, **settings: int) -> House:
    """A worker that keeps an engine waiting, and has done its import."""
    house.settings = house.settings.model_copy(update={"standby_engines": 1, **settings})
    house.start_worker()

    def imported() -> bool:
        with house.context() as ctx:
            return datasets.get_version(ctx, "rows").state == "published"

    house.wait("the import", imported)
    return house


def test_a_run_gets_it_and_another_takes_its_place(working: House, model: Path) -> None:
    ready = waiting(working)
    run = working.submit(model, 10)
    assert working.wait_for_state(run, "succeeded", "failed").state == "succeeded"
    assert working.engine_process(run, 1) == ready
    assert working.losses(run) == [1 / n for n in range(1, 11)]
    second = waiting(working, but=ready)
    working.workers[0].terminate()
    assert working.workers[0].wait(timeout=PATIENCE) == 0
    assert not second.alive()
    assert report(working) is None


def test_beside_an_engine_that_works_one_waits_for_the_next_slot(house: House, model: Path) -> None:
    begin(house, engine_slots=2)
    first = waiting(house)
    long = house.submit(model, 100_000)
    house.wait_for_step(long, 1)
    assert house.engine_process(long, 1) == first
    second = waiting(house, but=first)
    short = house.submit(model, 10)
    assert house.wait_for_state(short, "succeeded", "failed").state == "succeeded"
    assert house.engine_process(short, 1) == second
    house.ask(long, "cancel")
    house.wait_for_state(long, "cancelled")


def test_killed_while_it_waits(working: House, model: Path) -> None:
    ready = waiting(working)
    os.kill(ready.pid, signal.SIGKILL)
    ended = working.wait_for_state(working.submit(model, 10), "succeeded", "failed")
    assert (ended.state, ended.attempt) == ("succeeded", 1)


def test_the_worker_killed_while_one_waits(working: House, model: Path) -> None:
    ready = waiting(working)
    working.workers[0].kill()
    working.workers[0].wait()
    working.wait("the engine that waited to end", lambda: not ready.alive())
    working.start_worker()
    assert working.wait_for_state(working.submit(model, 10), "succeeded", "failed").state == "succeeded"


def test_the_worker_killed_while_one_that_waited_works(working: House, model: Path) -> None:
    ready = waiting(working)
    working.hold.at(40)
    run = working.submit(model, 60)
    working.wait_for_step(run, 12)
    working.workers[0].kill()
    working.workers[0].wait()
    working.hold.release()
    working.start_worker()
    ended = working.wait_for_state(run, "succeeded", "failed")
    assert (ended.state, ended.attempt) == ("succeeded", 1)
    assert working.engine_process(run, 1) == ready
    assert working.losses(run) == [1 / n for n in range(1, 61)]


def seen_by_doctor(house: House, monkeypatch: pytest.MonkeyPatch) -> tuple[str, str]:
    monkeypatch.setenv("TUNERY_DATA", str(house.settings.folder))
    monkeypatch.setenv("TUNERY_STANDBY_ENGINES", str(house.settings.standby_engines))
    return next((one.verdict, one.found) for one in examine() if one.what == "Standby engine")


def test_doctor_tells_of_it(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    assert seen_by_doctor(house, monkeypatch)[1].startswith("off")
    house.settings = house.settings.model_copy(update={"standby_engines": 1})
    assert seen_by_doctor(house, monkeypatch)[1].startswith("none")
    house.start_worker()
    pid = waiting(house).pid
    verdict, found = seen_by_doctor(house, monkeypatch)
    assert verdict == "good"
    assert found.startswith(f"waiting (process {pid}, ")


def test_where_memory_is_scarce_none_is_started_and_it_says_so(
    house: House, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    house.settings = house.settings.model_copy(update={"standby_engines": 1})
    monkeypatch.setattr(standby, "_LOOK_SECONDS", 0.0)
    monkeypatch.setattr(standby, "available_bytes", lambda: standby.ENOUGH_BYTES)
    keeper = standby.Standbys(house.settings)
    try:
        keeper.tend(busy=False)
        ready = waiting(house)
        monkeypatch.setattr(standby, "available_bytes", lambda: standby.ENOUGH_BYTES // 2 - 1)
        keeper.tend(busy=False)
        assert not ready.alive()
        assert report(house) == StandbyReport(why_none="memory")
        assert "less than 2 GiB" in caplog.text
        verdict, found = seen_by_doctor(house, monkeypatch)
        assert (verdict, "memory is scarce" in found) == ("notice", True)
    finally:
        keeper.close()


def test_one_that_ends_by_itself_is_not_started_again_at_once(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    house.settings = house.settings.model_copy(update={"standby_engines": 1})
    monkeypatch.setattr(standby, "_LOOK_SECONDS", 0.0)
    keeper = standby.Standbys(house.settings)
    try:
        keeper.tend(busy=False)
        ready = waiting(house)
        os.kill(ready.pid, signal.SIGKILL)
        house.wait("its end", lambda: not ready.alive())
        keeper.tend(busy=False)
        assert report(house) == StandbyReport(why_none="failed")
    finally:
        keeper.close()
