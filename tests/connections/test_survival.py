"""kill -9 of server and worker amid an import from a store: it resumes or fails clean, nothing is half-published."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import psutil
import pytest

from bench.standin import Gate
from tests.connections.conftest import rows
from tests.connections.seaweed import Seaweed
from tests.e2e.whole import Whole
from tests.patience import PATIENCE, wait
from tunery.core.errors import Problem
from tunery.sdk.client import Client

pytestmark = pytest.mark.e2e


@pytest.fixture
def whole(tmp_path: Path, free_port: int) -> Iterator[Whole]:
    made = Whole(tmp_path, free_port, {"TUNERY_PRIVATE_HOSTS": '["127.0.0.1"]'})
    yield made
    made.close()


@pytest.fixture
def gate(store: Seaweed) -> Iterator[Gate]:
    made = Gate(urlsplit(store.endpoint).port or 0, b"/c.jsonl")
    yield made
    made.close()


def begun_and_killed(whole: Whole, store: Seaweed, bucket: str, gate: Gate) -> None:
    """Import three files; kill everything when two are read and the third is asked for."""
    for number, name in enumerate("abc"):
        store.put(bucket, f"jsonl/{name}.jsonl", rows(50, 50 * number))
    client = whole.start()
    client.connections.create("lake", **(store.settings(bucket) | {"endpoint": gate.url}))
    made = client.connections.import_files("lake", name="rows")
    assert gate.reached.wait(PATIENCE)
    assert made.task is not None
    assert client.tasks.get(made.task).state == "running"
    assert whole.process is not None
    (worker,) = psutil.Process(whole.process.pid).children()
    whole.kill_server()
    if worker.is_running():
        os.kill(worker.pid, signal.SIGKILL)
    wait("the worker's end", lambda: not worker.is_running())


def test_an_import_goes_on_after_the_server_was_killed(
    whole: Whole, store: Seaweed, bucket: str, gate: Gate
) -> None:
    begun_and_killed(whole, store, bucket, gate)
    gate.opened.set()
    client = whole.start()
    version = client.datasets.wait("rows", timeout=PATIENCE)
    assert (version.rows, version.state, version.version) == (150, "published", 1)
    assert [
        row["messages"][0]["content"][0]["text"] for row in client.datasets.rows("rows", 1, 149, 5).rows
    ] == ["Say 149"]
    assert len(client.datasets.versions("rows")) == 1
    _nothing_left(whole)


def test_an_import_that_cannot_go_on_leaves_nothing(
    whole: Whole, store: Seaweed, bucket: str, gate: Gate
) -> None:
    begun_and_killed(whole, store, bucket, gate)
    store.drop(bucket)
    gate.opened.set()
    client = whole.start()
    with pytest.raises(Problem) as caught:
        client.datasets.wait("rows", timeout=PATIENCE)
    assert caught.value.code == "remote_bucket"
    (version,) = client.datasets.versions("rows")
    assert (version.state, version.rows, version.content_hash) == ("failed", 0, None)
    with pytest.raises(Problem) as caught:
        client.datasets.publish("rows", 1)
    assert caught.value.code == "not_in_state"
    _nothing_left(whole)
    blobs = [path for path in (whole.data / "blobs").rglob("*") if path.is_file()]
    assert blobs == [], "no row was kept"


def test_a_lost_key_is_named(whole: Whole, store: Seaweed, bucket: str) -> None:
    client = whole.start()
    client.connections.create("lake", **store.settings(bucket))
    assert client.connections.test("lake").ok
    whole.kill_server()
    (whole.data / "vault.key").unlink()
    client = whole.start()
    _lost(client)
    client.connections.delete("lake")
    client.connections.create("lake", **store.settings(bucket))
    assert client.connections.test("lake").ok
    whole.kill_server()
    whole.settings["TUNERY_SECRET_KEY"] = "A" * 43 + "="
    _lost(whole.start())


def _lost(client: Client) -> None:
    test = client.connections.test("lake")
    assert test.problem is not None
    assert (test.problem.code, test.problem.params) == ("secret_key_lost", {"name": "lake"})
    assert "vault.key" in test.problem.cure
    assert client.connections.get("lake").name == "lake", "it is still shown"
    with pytest.raises(Problem) as caught:
        client.connections.import_files("lake", name="never")
    assert caught.value.code == "secret_key_lost"


def _nothing_left(whole: Whole) -> None:
    wait("what was staged to go", lambda: not any((whole.data / "uploads").iterdir()))
