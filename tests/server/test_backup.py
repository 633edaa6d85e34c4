"""Everything in one file and back: to another folder, from SQLite to PostgreSQL; and files that are no backup."""

import io
import json
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.jobs.house import alpaca, bare_model
from tests.patience import PATIENCE, wait
from tests.postgres import new_database
from tests.served import Done, Served, server, tunery
from tunery.sdk.client import Client


@pytest.fixture(scope="module")
def backup(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, Served]]:
    """Written while the server works on a second run; the server goes on."""
    folder = tmp_path_factory.mktemp("original")
    with server(folder) as served, Client(served.url, served.token) as client:
        client.datasets.create(alpaca(folder / "rows.jsonl", 120), name="rows")
        client.datasets.wait("rows")
        spec = {"base_model": str(bare_model(folder)), "data": "rows", "settings": {"max_steps": 20}}
        client.runs.wait(client.runs.create({**spec, "name": "first", "publish": {"auto": True}}).id)
        client.pipelines.save({**spec, "trigger": {"type": "schedule", "cron": "0 0 1 1 *"}}, name="yearly")
        served.hold.at(20)  # it isn't over before all is written
        going = client.runs.create({**spec, "name": "second", "settings": {"max_steps": 60}}).id
        wait("its first steps", lambda: client.runs.get(going).progress.step >= 5)
        done = served.tunery("backup", folder / "all.tar", "--json")
        assert done.returncode == 0, done
        served.hold.release()
        yield folder / "all.tar", served


@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
def test_there_and_back(
    backup: tuple[Path, Served], tmp_path: Path, database: str, request: pytest.FixtureRequest
) -> None:
    file, original = backup
    assert file.stat().st_mode & 0o077 == 0
    url = "" if database == "sqlite" else new_database(request.getfixturevalue("postgres"))
    done = tunery(tmp_path, "restore", file, "--json", TUNERY_DATABASE_URL=url)
    assert done.returncode == 0, done
    with (
        server(tmp_path, TUNERY_DATABASE_URL=url) as served,
        Client(original.url, original.token) as before,
        Client(served.url, original.token) as after,
    ):
        assert after.datasets.rows("rows", 1).rows == before.datasets.rows("rows", 1).rows
        assert after.runs.metrics("first", ["train_loss"]) == before.runs.metrics("first", ["train_loss"])
        assert after.models.get("first").latest == before.models.get("first").latest
        assert after.pipelines.get("yearly").spec == before.pipelines.get("yearly").spec
        # What was under way goes on, from its checkpoint, in the new place.
        second = after.runs.wait("second", timeout=PATIENCE)
        assert (second.state, second.progress.step) == ("succeeded", 60)
        assert before.runs.wait("second", timeout=PATIENCE).state == "succeeded"
    assert not [path for path in (tmp_path / "data").rglob("*") if path.suffix == ".partial"]


def test_nothing_is_written_over(backup: tuple[Path, Served], tmp_path: Path) -> None:
    file, original = backup
    assert code(original.tunery("backup", file, "--json")) == "file_exists"
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "mine").write_text("kept")
    assert code(tunery(tmp_path, "restore", file, "--json")) == "restore_needs_empty"
    assert (tmp_path / "data" / "mine").read_text() == "kept"
    assert code(tunery(tmp_path, "backup", tmp_path / "none.tar", "--json")) == "data_folder_unusable"


def test_a_database_that_is_in_use_is_left_alone(
    backup: tuple[Path, Served], tmp_path: Path, postgres: str
) -> None:
    url = new_database(postgres)
    assert tunery(tmp_path, "restore", backup[0], "--json", TUNERY_DATABASE_URL=url).returncode == 0
    (tmp_path / "second").mkdir()
    done = tunery(tmp_path / "second", "restore", backup[0], "--json", TUNERY_DATABASE_URL=url)
    assert code(done) == "restore_needs_empty"
    assert not (tmp_path / "second" / "data").exists()


def cut(content: bytes) -> bytes:
    return content[: len(content) * 2 // 3]


def without_sums(content: bytes) -> bytes:
    return rewritten(content, lambda name, found: None if name == "sums.json" else (name, found))


def outside(content: bytes) -> bytes:
    return rewritten(
        content, lambda name, found: ("files/../../outside", found) if "VERSION" in name else (name, found)
    )


def newer(content: bytes) -> bytes:
    return rewritten(
        content,
        lambda name, found: (
            (name, found.replace(b'"v":1', b'"v":9')) if name == "backup.json" else (name, found)
        ),
    )


def other_schema(content: bytes) -> bytes:
    return rewritten(
        content,
        lambda name, found: (
            (name, found.replace(b'"schema":"0001"', b'"schema":"9999"'))
            if name == "backup.json"
            else (name, found)
        ),
    )


def rewritten(content: bytes, change: Callable[[str, bytes], tuple[str, bytes] | None]) -> bytes:
    made = io.BytesIO()
    with tarfile.open(fileobj=io.BytesIO(content)) as old, tarfile.open(fileobj=made, mode="w") as new:
        for info in old:
            file = old.extractfile(info)
            assert file is not None
            changed = change(info.name, file.read())
            if changed is not None:
                kept = tarfile.TarInfo(changed[0])
                kept.size = len(changed[1])
                new.addfile(kept, io.BytesIO(changed[1]))
    return made.getvalue()


@pytest.mark.parametrize(
    ("spoil", "wanted"),
    [
        (cut, "backup_broken"),
        (without_sums, "backup_broken"),
        (outside, "backup_broken"),
        (newer, "data_folder_newer"),
        (other_schema, "data_folder_newer"),
        (lambda content: b"no backup at all", "backup_broken"),
        (lambda content: b"", "backup_broken"),
    ],
    ids=["cut off", "without sums", "outside", "newer", "other schema", "nonsense", "empty"],
)
@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
def test_what_is_no_backup_leaves_nothing(
    backup: tuple[Path, Served],
    tmp_path: Path,
    spoil: Callable[[bytes], bytes],
    wanted: str,
    database: str,
    request: pytest.FixtureRequest,
) -> None:
    url = "" if database == "sqlite" else new_database(request.getfixturevalue("postgres"))
    (tmp_path / "spoilt.tar").write_bytes(spoil(backup[0].read_bytes()))
    done = tunery(tmp_path, "restore", tmp_path / "spoilt.tar", "--json", TUNERY_DATABASE_URL=url)
    assert code(done) == wanted
    assert not (tmp_path / "data").exists()
    assert not (tmp_path / "outside").exists()
    # The database is as empty as before, so that a good one can be restored.
    assert tunery(tmp_path, "restore", backup[0], "--json", TUNERY_DATABASE_URL=url).returncode == 0


def code(done: Done) -> str:
    assert done.returncode == 1, done
    return json.loads(done.stdout)["error"]["code"]
