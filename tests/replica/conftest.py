"""One base with two adapters for all tests of the replica."""

import pytest

from tests.replica.models import Models, make_models


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> Models:
    return make_models(tmp_path_factory.mktemp("models"))
