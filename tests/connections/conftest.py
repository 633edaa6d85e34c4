"""A real SeaweedFS for all tests of this folder, and rows to put into it."""

import contextlib
import json
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.connections.seaweed import Seaweed, seaweed


@pytest.fixture(scope="session")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Seaweed]:
    with seaweed(tmp_path_factory.mktemp("seaweed")) as service:
        yield service


@pytest.fixture
def bucket(store: Seaweed, request: pytest.FixtureRequest) -> Iterator[str]:
    """A bucket of the test's own."""
    name = request.node.name.replace("_", "-").split("[")[0][:50].strip("-").lower()
    store.make(name)
    yield name
    store.drop(name)


def rows(count: int, first: int = 0) -> bytes:
    """Alpaca rows as JSON lines."""
    lines = ({"instruction": f"Say {n}", "output": f"{n}!"} for n in range(first, first + count))
    return b"".join(json.dumps(line).encode() + b"\n" for line in lines)


def may_write(database: Path) -> bool:
    with contextlib.closing(sqlite3.connect(database, timeout=0)) as probe:
        try:
            probe.execute("BEGIN IMMEDIATE")
            return True
        except sqlite3.OperationalError:
            return False


@contextlib.contextmanager
def worker_stopped(server: int) -> Iterator[None]:
    """Stop the worker of a server for a while, at a moment when it doesn't hold SQLite's one write lock: what is
    queued meanwhile waits."""
    workers = [child for child in psutil.Process(server).children() if "tunery.jobs" in child.cmdline()]
    assert len(workers) == 1
    words = workers[0].cmdline()
    database = Path(words[words.index("--data") + 1]) / "tunery.db"
    workers[0].suspend()
    while not may_write(database):
        workers[0].resume()
        time.sleep(0.01)
        workers[0].suspend()
    try:
        yield
    finally:
        workers[0].resume()
