"""A house with a dataset of 120 rows named `rows` and a bare model; on SQLite, and on a real PostgreSQL."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.jobs.house import FAKE_ENGINE, House, alpaca, bare_model
from tests.postgres import new_database
from tunery.core.settings import ServerSettings


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest) -> str:
    """Of an empty database; empty = the data folder's own."""
    if request.param == "sqlite":
        return ""
    return new_database(request.getfixturevalue("postgres"))


@pytest.fixture
def house(tmp_path: Path, database_url: str) -> Iterator[House]:
    settings = ServerSettings(
        data=tmp_path / "data",
        database_url=database_url,
        engine_command=FAKE_ENGINE,
        heartbeat_seconds=0.3,
        lease_seconds=60,  # a machine may stall; a worker that was killed is known by its process
        standby_engines=0,
    )
    made = House(tmp_path, settings)
    made.import_rows("rows", alpaca(tmp_path / "rows.jsonl", 120))
    yield made
    made.close()


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return bare_model(tmp_path)
