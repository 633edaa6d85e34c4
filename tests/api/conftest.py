"""The application with a caller in front of it, and the same on a port."""

import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import uvicorn
from starlette.testclient import TestClient

from tests.api.place import BASE, Live, Place, first_place, open_place
from tests.patience import PATIENCE


@pytest.fixture(scope="session")
def first(tmp_path_factory: pytest.TempPathFactory) -> "First":
    """A data folder after its first start, to be copied: migrations take half a second."""
    folder = tmp_path_factory.mktemp("first") / "data"
    folder.mkdir()
    return folder, *first_place(folder)


First = tuple[Path, str, str]


@contextmanager
def opened(first: First, folder: Path) -> Iterator[Place]:
    laid_out, project, token = first
    shutil.copytree(laid_out, folder)
    place = open_place(folder, project, token)
    yield place
    place.state.pool.close()
    place.state.engine.dispose()


@pytest.fixture
def place(first: First, tmp_path: Path) -> Iterator[Place]:
    with opened(first, tmp_path / "data") as place:
        yield place


@pytest.fixture(scope="module")
def module_place(first: First, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """For tests that leave no trace: one application for all of a module."""
    with opened(first, tmp_path_factory.mktemp("module") / "data") as place:
        yield place


@pytest.fixture(scope="module")
def module_client(module_place: Place) -> Iterator[TestClient]:
    with TestClient(
        module_place.app, base_url=BASE, headers=module_place.key, follow_redirects=False
    ) as client:
        yield client


@pytest.fixture
def client(place: Place) -> Iterator[TestClient]:
    """Talks to the application with a valid token."""
    with TestClient(place.app, base_url=BASE, headers=place.key, follow_redirects=False) as client:
        yield client


@pytest.fixture
def stranger(client: TestClient, place: Place) -> TestClient:
    """Talks to the same application without a token."""
    return TestClient(place.app, base_url=BASE, follow_redirects=False)


@pytest.fixture
def live(place: Place) -> Iterator[Live]:
    config = uvicorn.Config(place.app, port=0, log_config=None, lifespan="on", timeout_graceful_shutdown=3)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        assert thread.is_alive()
        time.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    yield Live(place, f"http://127.0.0.1:{port}", server)
    place.state.closing.set()
    server.should_exit = True
    thread.join(PATIENCE)
    assert not thread.is_alive()
