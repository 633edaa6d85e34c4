"""A real SeaweedFS for all tests of this folder, and rows to put into it."""

import contextlib
import json
from collections.abc import Iterator

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


@contextlib.contextmanager
def worker_stopped(server: int) -> Iterator[None]:
    """Stop the worker of a server for a while: what is queued meanwhile waits."""
    workers = [child for child in psutil.Process(server).children() if "tunery.jobs" in child.cmdline()]
    assert len(workers) == 1
    workers[0].suspend()
    try:
        yield
    finally:
        workers[0].resume()
