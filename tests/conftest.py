"""What every test may ask for: an environment of its own, a data folder, a port, files with real rows."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import hypothesis
import pytest

from tests import ports
from tests.postgres import postgres_server

ROOT = Path(__file__).resolve().parent.parent

# The suite says the same of the same code, whenever it runs; `--hypothesis-profile=search` tries other examples.
hypothesis.settings.register_profile("steady", derandomize=True, deadline=None)
hypothesis.settings.register_profile("search", deadline=None, print_blob=True)
hypothesis.settings.load_profile("steady")


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
    """A loopback port that is nobody's, and stays so while a server is started again."""
    return ports.free_port()


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """The URL of a PostgreSQL server of this session's own."""
    with postgres_server(ports.free_port()) as url:
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
