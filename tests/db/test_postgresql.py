"""PostgreSQL under the whole server; and what is said of one that can't be used."""

import json
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine, text
from sqlalchemy.exc import DBAPIError

from tests.jobs.house import alpaca, bare_model
from tests.postgres import new_database
from tests.served import server, tunery
from tunery.core.errors import Problem
from tunery.core.settings import ServerSettings
from tunery.db.engine import connect, open_database, reading, writing


@pytest.fixture
def engine(postgres: str, tmp_path: Path) -> Iterator[Engine]:
    made = open_database(ServerSettings(data=tmp_path, database_url=new_database(postgres)))
    yield made
    made.dispose()


def test_the_main_job_on_postgresql(postgres: str, tmp_path: Path) -> None:
    rows = alpaca(tmp_path / "rows.jsonl", 120)
    with server(tmp_path, TUNERY_DATABASE_URL=new_database(postgres)) as served:
        assert served.tunery("data", "import", rows, "--name", "rows").returncode == 0
        spec = tmp_path / "run.yaml"
        spec.write_text(
            json.dumps(
                {
                    "name": "first",
                    "base_model": str(bare_model(tmp_path)),
                    "data": "rows",
                    "settings": {"max_steps": 20},
                    "publish": {"auto": True, "name": "tuned"},
                }
            )
        )
        done = served.tunery("train", spec, "--server", "--json")
        assert done.returncode == 0, done
        listed = json.loads(served.tunery("models", "list", "--json").stdout)
        assert "tuned" in [model["name"] for model in listed["data"]]
    assert not (tmp_path / "data" / "tunery.db").exists()


def test_one_writes_while_others_read_the_state_before(engine: Engine) -> None:
    with writing(engine) as first:
        first.execute(text("CREATE TABLE seen (n int)"))
    order: list[str] = []

    def second() -> None:
        with writing(engine) as connection:
            order.append("second")
            connection.execute(text("INSERT INTO seen VALUES (2)"))

    thread = threading.Thread(target=second)
    with reading(engine) as reader:
        assert reader.scalar(text("SELECT count(*) FROM seen")) == 0
        with writing(engine) as connection:
            thread.start()
            connection.execute(text("INSERT INTO seen VALUES (1)"))
            thread.join(0.3)
            order.append("first")
        thread.join()
        assert order == ["first", "second"]
        assert reader.scalar(text("SELECT count(*) FROM seen")) == 0
    with reading(engine) as reader:
        assert reader.scalar(text("SELECT count(*) FROM seen")) == 2


def test_a_reader_cannot_write(engine: Engine) -> None:
    with pytest.raises(DBAPIError, match="read-only"), reading(engine) as connection:
        connection.execute(text("CREATE TABLE seen (n int)"))


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("mysql://root:hidden@localhost/x", "SQLite or PostgreSQL, not in mysql"),
        ("nonsense", "isn't the URL of a database"),
    ],
)
def test_a_database_that_is_not_taken(tmp_path: Path, url: str, words: str) -> None:
    with pytest.raises(Problem) as caught:
        open_database(ServerSettings(data=tmp_path, database_url=url))
    assert caught.value.code == "server_setting_invalid"
    assert words in str(caught.value)
    assert "hidden" not in str(caught.value)


def test_a_server_that_is_not_there(tmp_path: Path) -> None:
    done = tunery(
        tmp_path, "up", "--json", TUNERY_DATABASE_URL="postgresql://tunery:hidden@127.0.0.1:9/tunery"
    )
    said = json.loads(done.stdout)["error"]
    assert (done.returncode, said["code"]) == (1, "data_folder_unusable")
    assert "hidden" not in done.stdout + done.stderr


def test_hosting_services_spell_it_shorter(postgres: str) -> None:
    engine = connect(new_database(postgres).replace("postgresql://", "postgres://"))
    with reading(engine) as connection:
        assert connection.dialect.name == "postgresql"
    engine.dispose()
