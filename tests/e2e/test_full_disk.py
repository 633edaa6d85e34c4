"""A disk that becomes full: a named problem, nothing corrupt, and on it goes when there is room again."""

import json
import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.mount import fill, small_disk
from tests.e2e.whole import Whole, spec
from tests.jobs.house import alpaca
from tests.patience import PATIENCE, wait
from tests.served import server, tunery
from tunery.core.attempt import attempt_folder
from tunery.core.errors import Problem
from tunery.core.files import append_line
from tunery.engine import checkpoint
from tunery.schemas.run import RunDetail
from tunery.sdk.client import Client

pytestmark = pytest.mark.e2e


def sound(data: Path) -> bool:
    with sqlite3.connect(data / "tunery.db") as database:
        (said,) = database.execute("PRAGMA integrity_check").fetchone()
    database.close()
    return said == "ok"


def test_a_line_is_whole_or_absent(tmp_path: Path) -> None:
    with small_disk(tmp_path / "small", "128k") as disk:
        path = disk / "events.jsonl"
        for number in range(200):
            append_line(path, json.dumps({"seq": number, "text": "x" * 300}).encode())
        fill(disk)
        line = json.dumps({"seq": 200, "text": "x" * 5000}).encode()
        with pytest.raises(OSError, match="No space left"):
            append_line(path, line)
        with pytest.raises(OSError, match="No space left"):
            append_line(path, line)
        content = path.read_bytes()
    assert content.endswith(b"}\n")
    assert [json.loads(line)["seq"] for line in content.splitlines()] == list(range(200))


def test_a_server_that_finds_no_room(tmp_path: Path) -> None:
    with small_disk(tmp_path / "data", "64k"):
        done = tunery(tmp_path, "up", "--port", "0", "--json")
    assert done.returncode == 1
    assert json.loads(done.stdout)["error"]["code"] == "disk_full"
    assert "Traceback" not in done.stderr


def test_an_upload_that_finds_no_room(tmp_path: Path) -> None:
    large = alpaca(tmp_path / "large.jsonl", 250_000)
    small = alpaca(tmp_path / "small.jsonl", 150)
    with small_disk(tmp_path / "data", "12m") as data, server(tmp_path) as served:
        done = served.tunery("data", "import", large, "--name", "large", "--json")
        assert (done.returncode, json.loads(done.stdout)["error"]["code"]) == (1, "no_room"), done
        assert os.listdir(data / "uploads") == []
        assert json.loads(served.tunery("data", "list", "--json").stdout)["data"] == []
        # There is room for the upload, not for its rows as well.
        done = served.tunery("data", "import", small, "--name", "small", "--json")
        assert done.returncode == 0, done
        assert sound(data)


def test_an_import_that_finds_no_room(tmp_path: Path) -> None:
    rows = tmp_path / "noise.jsonl"
    with rows.open("w") as file:
        for _ in range(600):
            file.write(json.dumps({"instruction": os.urandom(4000).hex(), "output": "b"}) + "\n")
    with small_disk(tmp_path / "data", "16m") as data, server(tmp_path) as served:
        ballast = fill(data, leave=rows.stat().st_size + 2**19)
        done = served.tunery("data", "import", rows, "--name", "noise", "--json")
        assert (done.returncode, json.loads(done.stdout)["error"]["code"]) == (1, "disk_full"), done
        wait("the upload to go", lambda: os.listdir(data / "uploads") == [])
        assert list((data / "blobs/sha256").rglob("?" * 64)) == []
        assert os.listdir(data / "blobs/incoming") == []
        ballast.unlink()
        done = served.tunery("data", "import", rows, "--name", "noise", "--json")
        assert (done.returncode, json.loads(done.stdout)["rows"]) == (0, 600), done
        assert sound(data)


@pytest.fixture
def whole(tmp_path: Path, free_port: int) -> Iterator[Whole]:
    with small_disk(tmp_path / "data", "48m"):
        made = Whole(tmp_path, free_port)
        yield made
        made.close()


def curve(client: Client, run: str) -> list[tuple[int, float]]:
    (series,) = client.runs.metrics(run, names=["train_loss"], points=100_000)
    return list(zip(series.steps, series.values, strict=True))


@pytest.mark.slow
@pytest.mark.usefixtures("held")
@pytest.mark.parametrize("leave", [0, 40 * 2**10, 2 * 2**20])
def test_a_training_that_finds_no_room_rests_and_goes_on(
    whole: Whole, model: Path, tmp_path: Path, leave: int
) -> None:
    """Full to the last page: the event log or the database; some room left: a checkpoint."""
    client = whole.start()
    client.datasets.create(alpaca(tmp_path / "rows.jsonl", 160), name="rows")
    client.datasets.wait("rows")
    settings = {"finetuning_type": "full", "max_steps": 40, "checkpoint_limit": 20, "lora_dropout": None}
    whole.hold.at(12)
    run = client.runs.create(spec(model, "rows", name="full", settings=settings)).id
    wait("step 7", lambda: client.runs.get(run).progress.step >= 7)
    ballast = fill(whole.data, leave)
    whole.hold.release()
    wait("the run to rest", lambda: resting(whole, client, run))
    for folder in attempt_folder(whole.data, run, 1).checkpoints.glob("step-*"):
        checkpoint.verify(folder)
    ballast.unlink()
    ended = gone_on(client, run)
    assert ended.state == "succeeded"
    steps = [step for step, _ in curve(client, run)]
    assert steps == list(range(1, 41))
    assert sound(whole.data)


def gone_on(client: Client, run: str) -> RunDetail:
    """The run at its end. Where the pause could be recorded, at once or when there was room again, it is resumed."""
    try:
        return client.runs.wait(run, timeout=PATIENCE)
    except Problem as problem:
        if problem.code != "disk_full":
            raise
    client.runs.resume(run)
    return client.runs.wait(run, timeout=PATIENCE)


def resting(whole: Whole, client: Client, run: str) -> bool:
    """Paused for want of room; or, where not even that could be written, no engine that runs."""
    found = client.runs.get(run)
    assert found.state in ("running", "paused"), found.reason
    if found.state == "paused":
        assert found.reason is not None
        assert found.reason["code"] == "disk_full"
        return True
    said = (whole.data / "logs/worker.log").read_text()
    return "disk is full" in said and attempt_folder(whole.data, run, 1).read_result() is not None
