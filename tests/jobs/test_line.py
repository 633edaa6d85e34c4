"""Who is next: lanes, places, slots, a project's limit, and claims that can't be held twice."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import update

from tests.jobs.house import House, alpaca, bare_model
from tunery.core.settings import ServerSettings
from tunery.db.engine import writing
from tunery.db.tables import project, run, task
from tunery.jobs.line import enqueue
from tunery.jobs.queue import Claim, Fenced, Slots, claim, fenced, finish, give_back, renew

KINDS = ("train", "publish", "statistics")
ONE = Slots(light=1, engine=1)


@pytest.fixture
def line(tmp_path: Path, database_url: str) -> Iterator[House]:
    """A house where nobody works but the test."""
    made = House(tmp_path, ServerSettings(data=tmp_path / "data", database_url=database_url))
    made.import_rows("rows", alpaca(tmp_path / "rows.jsonl", 120))
    _import(made)
    bare_model(tmp_path)
    yield made
    made.close()


def _import(house: House) -> None:
    from tunery.jobs.work import Work
    from tunery.jobs.worker import _perform

    held = claim(house.engine, "importer", ["import_dataset"], 60)
    assert held is not None
    _perform(Work(held, house.engine, house.settings, house.blobs))


def add(house: House, **resources: object) -> str:
    return house.submit(house.folder / "bare", 5, resources=resources)


def next_run(house: House, worker: str = "w", slots: Slots | None = None) -> str | None:
    found = claim(house.engine, worker, KINDS, 60, slots)
    return None if found is None else found.run


def take(house: House, worker: str = "w", slots: Slots | None = None) -> Claim:
    found = claim(house.engine, worker, KINDS, 60, slots)
    assert found is not None
    return found


def end(house: House, held: Claim) -> None:
    with fenced(house.engine, held) as connection:
        finish(connection, held, "succeeded")


def test_oldest_first_and_a_step_of_priority_is_an_hour(line: House) -> None:
    low, first, second, urgent = add(line, priority=-1), add(line), add(line), add(line, priority=3)
    assert [next_run(line) for _ in range(5)] == [urgent, first, second, low, None]


def test_who_waited_long_comes_before_who_is_urgent(line: House) -> None:
    patient = add(line)
    with writing(line.engine) as connection:  # made four hours ago
        ago = 4 * 3600 * 1_000_000
        connection.execute(update(run).where(run.c.id == patient).values(created=run.c.created - ago))
    line.ask(patient, "pause")
    line.ask(patient, "resume")
    urgent = add(line, priority=3)
    assert [next_run(line), next_run(line)] == [patient, urgent]


def test_idle_time_only_when_nothing_else_waits(line: House) -> None:
    idle, idle_later, urgent_idle = (
        add(line, idle_time=True), add(line, idle_time=True), add(line, idle_time=True, priority=1)
    )  # fmt: skip
    normal = add(line, priority=-100)
    assert [next_run(line) for _ in range(5)] == [normal, urgent_idle, idle, idle_later, None]


def test_slots_are_leased_with_the_claim(line: House) -> None:
    runs = [add(line) for _ in range(3)]
    with writing(line.engine) as connection:
        light = [enqueue(connection, "statistics", line.project, {}) for _ in range(2)]
    assert take(line, "a", ONE).task == light[0]
    held = take(line, "a", ONE)
    assert held.run == runs[0]
    assert claim(line.engine, "a", KINDS, 60, ONE) is None
    assert take(line, "b", Slots(light=0, engine=1)).run == runs[1]
    end(line, held)
    assert take(line, "a", ONE).run == runs[2]


def test_a_lapsed_lease_occupies_no_slot(line: House) -> None:
    add(line)
    lost = claim(line.engine, "a", KINDS, -1, ONE)
    assert lost is not None
    again = take(line, "a", ONE)
    assert (again.task, again.token > lost.token) == (lost.task, True)
    with pytest.raises(Fenced), fenced(line.engine, lost):
        pass
    assert not renew(line.engine, lost, 60)
    assert renew(line.engine, again, 60)


def test_a_project_has_no_more_engines_than_it_may(line: House) -> None:
    limited = Slots(project=1)
    with writing(line.engine) as connection:
        connection.execute(project.insert().values(id="proj_b", name="b", created=0))
    first, second, third = add(line), add(line), add(line)
    with writing(line.engine) as connection:  # as a run of the other project
        connection.execute(update(task).where(task.c.run_id == third).values(project_id="proj_b"))
    held = take(line, "a", limited)
    assert held.run == first
    assert next_run(line, "b", limited) == third
    assert next_run(line, "c", limited) is None
    end(line, held)
    assert next_run(line, "c", limited) == second


def test_given_back_it_keeps_its_place(line: House) -> None:
    first, second = add(line), add(line)
    held = take(line)
    assert held.run == first
    with fenced(line.engine, held) as connection:
        give_back(connection, held, None)
    assert [next_run(line), next_run(line)] == [first, second]


def test_a_claim_that_a_crash_undid_is_not_held_by_two(line: House) -> None:
    """PostgreSQL may lose a commit that didn't wait for the disk, while the worker lives on."""
    add(line)
    before = take(line)
    with writing(line.engine) as connection:  # the table as it was before that claim
        connection.execute(
            update(task).where(task.c.id == before.task).values(state="queued", token=0, worker_id=None)
        )
    after = take(line)
    assert after.task == before.task
    with pytest.raises(Fenced), fenced(line.engine, before):
        pass
    end(line, after)
