"""What every test may ask for: an environment of its own, a data folder, a port, files with real rows."""

import os
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.postgres import postgres_server

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session", autouse=True)
def _nobodys_environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """No TUNERY_ variable and no client file of whoever runs the tests is seen by one."""
    with pytest.MonkeyPatch.context() as patch:
        for name in list(os.environ):
            if name.startswith("TUNERY_") and not name.startswith("TUNERY_TEST_"):
                patch.delenv(name)
        # An engine that waits costs seconds of the processor; the tests of it turn it on.
        patch.setenv("TUNERY_STANDBY_ENGINES", "0")
        patch.setenv("TUNERY_CONFIG", str(tmp_path_factory.mktemp("nobody") / "client.json"))
        yield


@pytest.fixture
def data_folder(tmp_path: Path) -> Path:
    """Where a server of this test keeps everything; not there yet."""
    return tmp_path / "data"


@pytest.fixture
def free_port() -> int:
    """A loopback port that nothing listened on a moment ago."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """The URL of a PostgreSQL server of this session's own."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
    with postgres_server(port) as url:
        yield url


@pytest.fixture(scope="session")
def real_rows() -> Callable[[str], Path]:
    """Give a file of real rows by name.

    They lie outside the repository: in TUNERY_TEST_DATA, else in `../shared/data`. Without that folder the test is
    skipped; a folder that lacks the file is a failure where CI is set.
    """
    folder = Path(os.environ.get("TUNERY_TEST_DATA") or ROOT.parent / "shared" / "data")

    def find(name: str) -> Path:
        if not folder.is_dir():
            pytest.skip(f"there is no {folder}; set TUNERY_TEST_DATA to a folder with {name}")
        if not (folder / name).is_file():
            say = pytest.fail if os.environ.get("CI") == "true" else pytest.skip
            say(f"{folder} has no {name}")
        return folder / name

    return find
