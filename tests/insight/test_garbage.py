"""Collecting garbage: what nothing needs goes, what something needs stays, whatever is imported meanwhile."""

import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import select, update

from tests.insight.stored import add_run, talk
from tests.jobs.house import House
from tests.patience import PATIENCE
from tunery.blobs.local import LocalBlobs
from tunery.core.clock import now_us
from tunery.core.ids import new_id
from tunery.core.settings import ServerSettings
from tunery.data.rows import Row, encode_row
from tunery.data.store import VersionReader, VersionWriter
from tunery.db.engine import reading, writing
from tunery.db.tables import dataset, dataset_version, evaluation, run, task
from tunery.jobs import garbage
from tunery.jobs.garbage import Needed, candidates, remove

ROWS: list[Row] = [talk(f"user: {n}", f"assistant: {n} and more") for n in range(200)]


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    made = House(tmp_path, ServerSettings(data=tmp_path / "data"))
    yield made
    made.close()


def blobs_of(house: House) -> LocalBlobs:
    assert isinstance(house.blobs, LocalBlobs)
    return house.blobs


def put(house: House, rows: list[Row]) -> str:
    with VersionWriter(house.blobs) as writer:
        writer.append(list(map(encode_row, rows)), 1)
        return writer.finish("0" * 64, "messages", "conversation")


def record(house: House, manifest: str, number: int = 1, name: str = "d") -> str:
    """A version in the database."""
    with writing(house.engine) as connection:
        found = connection.scalar(select(dataset.c.id).where(dataset.c.name == name))
        if found is None:
            found = new_id("ds")
            values = {"id": found, "project_id": house.project, "name": name, "format": "messages"}
            connection.execute(dataset.insert().values(**values, created=now_us()))
        version = new_id("dsv")
        connection.execute(
            dataset_version.insert().values(
                id=version,
                project_id=house.project,
                dataset_id=found,
                version=number,
                state="published",
                format="messages",
                manifest=manifest,
                content_hash="0" * 64,
                created=now_us(),
            )
        )
    return version


def forget(house: House, version: str) -> None:
    with writing(house.engine) as connection:
        connection.execute(
            update(dataset_version)
            .where(dataset_version.c.id == version)
            .values(state="deleted", manifest=None)
        )


def collect(house: House) -> tuple[int, int]:
    """As the task does."""
    needed = Needed(house.blobs)
    with reading(house.engine) as connection:
        before = needed.now(connection)
    count = size = 0
    for batch in candidates(house.blobs, before):
        with writing(house.engine) as connection:
            removed, freed = remove(connection, house.blobs, needed, batch)
        count, size = count + removed, size + freed
    return count, size


def age(house: House) -> None:
    """Everything was put long ago."""
    for path in (blobs_of(house).folder / "sha256").rglob("*"):
        if path.is_file():
            os.utime(path, (1, 1))


def readable(house: House, manifest: str) -> int:
    return len(list(VersionReader(house.blobs, manifest)))


def test_what_two_versions_share_stays_with_the_other(house: House) -> None:
    first, second = put(house, ROWS), put(house, [*ROWS, talk("user: x", "assistant: y")])
    gone, _ = record(house, first), record(house, second, 2)
    age(house)
    assert collect(house) == (0, 0)
    forget(house, gone)
    before = sum(path.stat().st_size for path in blobs_of(house).folder.rglob("*") if path.is_file())
    count, size = collect(house)
    after = sum(path.stat().st_size for path in blobs_of(house).folder.rglob("*") if path.is_file())
    assert count >= 1
    assert before - after == size > 0
    assert readable(house, second) == 201
    assert not house.blobs.exists(first)


def test_rows_of_a_deleted_dataset_go(house: House) -> None:
    manifest = put(house, ROWS)
    record(house, manifest)
    with writing(house.engine) as connection:
        connection.execute(update(dataset).values(deleted=now_us()))
    age(house)
    assert collect(house)[0] == 3
    assert list(house.blobs.stored()) == []


def test_what_was_just_put_stays_though_nothing_names_it_yet(house: House) -> None:
    manifest = put(house, ROWS)
    assert collect(house) == (0, 0)
    assert readable(house, manifest) == 200
    age(house)
    put(house, ROWS)  # nothing new is written; it counts as put all the same
    assert collect(house) == (0, 0)
    assert readable(house, manifest) == 200


def test_a_run_a_task_and_an_evaluation_keep_what_they_name(house: House) -> None:
    """Any place of the database keeps a blob, until what it stands in has ended."""
    of_run, of_task = put(house, ROWS[:50]), put(house, ROWS[:60])
    answers = house.blobs.put_bytes(b"answers")
    ids = {"project_id": house.project, "created": now_us()}
    with writing(house.engine) as connection:
        add_run(connection, house, "queued", {"train": [of_run]})
        waiting = {"kind": "statistics", "state": "queued", "payload": {"manifest": of_task}}
        connection.execute(task.insert().values(id="task_1", lane="light", place=1, **waiting, **ids))
        judged = {"run_id": "run_1", "dataset": "d@1", "metrics": [], "state": "succeeded"}
        connection.execute(evaluation.insert().values(id="eva_1", rows_blob=answers, **judged, **ids))
    age(house)
    assert collect(house) == (0, 0)
    with writing(house.engine) as connection:
        connection.execute(update(run).values(state="cancelled"))
        connection.execute(update(task).values(state="succeeded"))
    assert collect(house)[0] == 6
    assert list(house.blobs.stored()) == [answers]


def test_imports_while_garbage_is_collected_all_the_time(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same rows are imported, deleted and imported again while the collector runs: no version ever lacks a row."""
    monkeypatch.setattr(garbage, "GRACE_SECONDS", 3600.0)  # longer than any machine stalls
    ended = threading.Event()
    collected: list[int] = []
    broke: list[BaseException] = []

    def collector() -> None:
        try:
            while not ended.is_set():
                collected.append(collect(house)[0])
        except BaseException as error:
            broke.append(error)
            raise

    thread = threading.Thread(target=collector)
    thread.start()
    number = 0
    try:
        end = time.monotonic() + PATIENCE
        while number < 30 or sum(collected) <= 3:
            assert time.monotonic() < end, "the collector has nothing to remove while versions come and go"
            assert broke == []
            number += 1
            manifest = put(house, ROWS)
            time.sleep(0.001 * (number % 5))
            version = record(house, manifest, number)
            age(house)  # as if it were long since that it was put
            assert readable(house, manifest) == 200
            forget(house, version)
    finally:
        ended.set()
        thread.join(PATIENCE)
    assert broke == []
