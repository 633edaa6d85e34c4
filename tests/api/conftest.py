"""The application with a caller in front of it, and the same on a port."""

import shutil
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import uvicorn
from api_place import BASE, Live, Place, first_place, open_place
from starlette.testclient import TestClient


@pytest.fixture(scope="session")
def first(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str, str]:
    """A data folder after its first start, to be copied: migrations take half a second."""
    folder = tmp_path_factory.mktemp("first") / "data"
    folder.mkdir()
    return folder, *first_place(folder)


@pytest.fixture
def place(first: tuple[Path, str, str], tmp_path: Path) -> Iterator[Place]:
    folder, project, token = first
    shutil.copytree(folder, tmp_path / "data")
    place = open_place(tmp_path / "data", project, token)
    yield place
    place.state.pool.close()
    place.state.engine.dispose()


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
    thread.join(10)
    assert not thread.is_alive()
