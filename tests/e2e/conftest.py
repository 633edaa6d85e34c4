"""A whole product and a toy model to train in it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.whole import Whole
from tests.toys import toy_model


@pytest.fixture
def whole(tmp_path: Path, free_port: int) -> Iterator[Whole]:
    made = Whole(tmp_path, free_port)
    yield made
    made.close()


@pytest.fixture
def held(whole: Whole) -> Whole:
    """Its engines wait where the test wants them to."""
    whole.hold_engines()
    return whole


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return toy_model(tmp_path_factory.mktemp("toy") / "toy-llama", max_position_embeddings=512)
