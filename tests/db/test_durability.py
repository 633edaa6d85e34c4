"""A commit waits for the disk unless its own transaction said that it needn't."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine

from tests.postgres import new_database
from tunery.core.settings import ServerSettings
from tunery.db.engine import open_database, writing

QUESTION = {"sqlite": "PRAGMA synchronous", "postgresql": "SHOW synchronous_commit"}
WAITS = {2: True, 1: False, "on": True, "off": False}


@pytest.fixture(params=["sqlite", "postgresql"])
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Engine]:
    url = "" if request.param == "sqlite" else new_database(request.getfixturevalue("postgres"))
    made = open_database(ServerSettings(data=tmp_path, database_url=url))
    yield made
    made.dispose()


def test_only_who_says_so_is_relaxed(engine: Engine) -> None:
    found = []
    for durable in (True, False, True, False, False, True):
        with writing(engine, durable=durable) as connection:
            answer = connection.exec_driver_sql(QUESTION[engine.dialect.name]).scalar_one()
            found.append(WAITS[answer])
    assert found == [True, False, True, False, False, True]
