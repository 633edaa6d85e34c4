"""One server for all tests of the client, on the desk of the user who started it."""

from collections.abc import Iterator

import pytest

from tests.cli.conftest import lay_out_desk
from tests.served import Served, server
from tunery.sdk.client import Client


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("served")
    lay_out_desk(folder)
    with server(folder) as running:
        yield running


@pytest.fixture
def client(served: Served) -> Iterator[Client]:
    with Client(served.url, served.token) as client:
        yield client


@pytest.fixture(autouse=True)
def own_config(monkeypatch: pytest.MonkeyPatch, tmp_path) -> None:
    """No test sees this user's own server."""
    monkeypatch.setenv("TUNERY_CONFIG", str(tmp_path / "client.json"))
    monkeypatch.delenv("TUNERY_URL", raising=False)
    monkeypatch.delenv("TUNERY_TOKEN", raising=False)
