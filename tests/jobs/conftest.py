"""A house with a dataset of 120 rows named `rows` and a bare model."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.jobs.house import FAKE_ENGINE, House, alpaca, bare_model
from tunery.core.settings import ServerSettings


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    settings = ServerSettings(
        data=tmp_path / "data", engine_command=FAKE_ENGINE, heartbeat_seconds=0.3, lease_seconds=1.5
    )
    made = House(tmp_path, settings)
    made.import_rows("rows", alpaca(tmp_path / "rows.jsonl", 120))
    yield made
    made.close()


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return bare_model(tmp_path)
