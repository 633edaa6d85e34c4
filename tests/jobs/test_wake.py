"""What is written on this machine wakes who waits for it: a worker for tasks, a follower for events."""

import threading
from pathlib import Path

import pytest

from tests.jobs.house import House
from tunery.core.watch import FolderWatch
from tunery.db.engine import reading, writing
from tunery.db.tables import task
from tunery.jobs.queue import enqueue

LONG = 30.0
SHORT = 0.05


@pytest.fixture
def database_url() -> str:
    return ""


def test_a_commit_wakes_and_a_look_does_not(house: House) -> None:
    file = Path(house.engine.url.database or "")
    with FolderWatch(file.parent, file.name) as changes:
        assert not changes.wait(SHORT)
        with writing(house.engine) as connection:
            enqueue(connection, "import_dataset", house.project, {})
        assert changes.wait(LONG), "a commit before the call counts"
        assert not changes.wait(SHORT)
        with reading(house.engine) as connection:
            assert connection.execute(task.select()).first() is not None
        with writing(house.engine):
            pass  # as a worker does that finds nothing
        assert not changes.wait(SHORT)


def test_one_who_sleeps_is_woken(tmp_path: Path) -> None:
    with FolderWatch(tmp_path, "events") as changes:
        later = threading.Timer(0.1, lambda: (tmp_path / "events.jsonl").write_text("{}"))
        later.start()
        assert changes.wait(LONG)
        later.join()


def test_other_files_and_renames(tmp_path: Path) -> None:
    with FolderWatch(tmp_path, "result") as changes:
        (tmp_path / "log.txt").write_text("something")
        assert not changes.wait(SHORT)
        (tmp_path / ".aside").write_text("{}")
        (tmp_path / ".aside").rename(tmp_path / "result.json")
        assert changes.wait(LONG)


def test_where_nothing_can_be_watched_it_sleeps(tmp_path: Path) -> None:
    with FolderWatch(tmp_path / "nowhere") as changes:
        assert not changes.wait(SHORT)
