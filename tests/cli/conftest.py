"""A user's folder with rows, a model and a run to train, without torch."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.jobs.house import alpaca, bare_model
from tests.served import Served, server


@pytest.fixture
def desk(tmp_path: Path) -> Path:
    """rows.jsonl with 120 rows, the model folder `bare`, and run.yaml that trains one on the other for 12 steps."""
    lay_out_desk(tmp_path)
    return tmp_path


def lay_out_desk(folder: Path) -> None:
    alpaca(folder / "rows.jsonl", 120)
    bare_model(folder)
    (folder / "run.yaml").write_text("base_model: bare\ndata: rows.jsonl\nsettings: {max_steps: 12}\n")


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A server with a worker, on the desk of the user who started it."""
    folder = tmp_path_factory.mktemp("served")
    lay_out_desk(folder)
    with server(folder) as running:
        yield running
