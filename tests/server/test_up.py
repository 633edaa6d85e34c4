"""The server as a process: started, used, told to end, killed."""

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from sqlalchemy import insert, select, text

from tests.patience import PATIENCE, wait
from tunery.core.errors import Problem
from tunery.core.files import FolderLock
from tunery.core.process import ProcessIdentity
from tunery.core.settings import ServerSettings
from tunery.db.engine import connect, open_database, writing
from tunery.db.tables import job, project, run
from tunery.server.folder import hold_folder
from tunery.server.up import Up, serve

MAIN = """
import json, sys
from pathlib import Path
from tunery.core.settings import ServerSettings
from tunery.server.up import serve

def announce(up):
    print(json.dumps({"url": up.url, "token": up.first_token}), flush=True)

serve(ServerSettings(data=Path(sys.argv[1]), port=0), announce)
print("ended", flush=True)
"""


class Running:
    """A server process that answers."""

    def __init__(self, data: Path) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", MAIN, str(data)], stdout=subprocess.PIPE, text=True, start_new_session=True
        )
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, "the server didn't come up"
        told = json.loads(line)
        self.url, self.token = told["url"], told["token"]

    def worker(self) -> ProcessIdentity:
        """The worker process, once it runs its own program."""
        found: list[ProcessIdentity] = []

        def there() -> bool:
            stats = Path("/proc").glob("[0-9]*/stat")
            found[:] = [one for path in stats if (one := _child_of(path, self.process.pid)) is not None]
            return bool(found)

        wait("a worker", there)
        return found[0]


def _child_of(stat: Path, parent: int) -> ProcessIdentity | None:
    try:
        fields = stat.read_text().rpartition(")")[2].split()
        command = stat.with_name("cmdline").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return None
    if int(fields[1]) != parent or b"tunery.jobs" not in command:
        return None
    return ProcessIdentity.of(int(stat.parent.name))


@contextmanager
def up(data: Path) -> Iterator[Running]:
    running = Running(data)
    try:
        yield running
    finally:
        if running.process.poll() is None:
            running.process.kill()
        running.process.communicate()


@pytest.mark.e2e
def test_first_start_makes_a_token_and_later_ones_dont(tmp_path: Path) -> None:
    data = tmp_path / "deep" / "data"
    with up(data) as first:
        assert first.token.startswith("tnr_")
        assert first.url.startswith("http://127.0.0.1:")
        key = {"Authorization": f"Bearer {first.token}"}
        assert httpx.get(first.url + "/api/v1/runs", headers=key).status_code == 200
        assert data.stat().st_mode & 0o077 == 0
        worker = first.worker()
        with httpx.stream("GET", first.url + "/api/v1/runs/none/stream", headers=key) as answer:
            assert answer.status_code == 404
        first.process.send_signal(signal.SIGTERM)
        assert first.process.wait(PATIENCE) == 0
        wait("the worker's end", lambda: not worker.alive())
        assert first.process.stdout is not None
        assert first.process.stdout.read() == "ended\n"
    with up(data) as second:
        assert second.token is None
        assert httpx.get(second.url + "/api/v1/runs", headers=key).status_code == 200
        second.process.send_signal(signal.SIGINT)
        assert second.process.wait(PATIENCE) == 0
    assert first.token not in (data / "logs" / "server.log").read_text()
    assert first.token.encode() not in (data / "tunery.db").read_bytes()


@pytest.mark.e2e
def test_kill_9_takes_the_worker_along_and_a_new_server_starts_at_once(tmp_path: Path) -> None:
    with up(tmp_path) as first:
        worker = first.worker()
        first.process.kill()
        first.process.wait()
        wait("the worker's end", lambda: not worker.alive())
    with up(tmp_path) as second:
        assert httpx.get(second.url + "/api/v1/health").json()["status"] == "ok"


@pytest.mark.e2e
def test_open_streams_dont_hold_up_the_end(tmp_path: Path) -> None:
    with up(tmp_path) as running:
        engine = connect(ServerSettings(data=tmp_path).url)
        with writing(engine) as connection:
            project_id = connection.scalar(select(project.c.id))
            common = {"project_id": project_id, "created": 1}
            connection.execute(insert(job).values(id="job_1", name="j", task="t", description="", **common))
            connection.execute(
                insert(run).values(
                    id="run_1",
                    job_id="job_1",
                    number=1,
                    state="paused",
                    method="sft",
                    base_model="b",
                    resolved={},
                    inputs={},
                    stages=[],
                    progress={},
                    **common,
                )
            )
        engine.dispose()
        key = {"Authorization": f"Bearer {running.token}"}
        with httpx.stream(
            "GET", running.url + "/api/v1/runs/run_1/stream", headers=key, timeout=PATIENCE
        ) as answer:
            assert answer.status_code == 200
            running.process.send_signal(signal.SIGTERM)
            assert list(answer.iter_lines()) == [], "it ends as an answer does, and isn't cut"
            assert running.process.wait(PATIENCE) == 0


@pytest.mark.e2e
def test_a_worker_that_dies_is_replaced(tmp_path: Path) -> None:
    with up(tmp_path) as running:
        first = running.worker()
        os.kill(first.pid, signal.SIGKILL)
        wait("the worker's end", lambda: not first.alive())
        assert running.worker().pid != first.pid
        assert "the worker ended with code -9" in (tmp_path / "logs" / "server.log").read_text()


def refused(settings: ServerSettings) -> Problem:
    def never(up: Up) -> None:
        raise AssertionError("it came up")

    with pytest.raises(Problem) as caught:
        serve(settings, never)
    return caught.value


def test_a_port_that_is_taken(tmp_path: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        problem = refused(ServerSettings(data=tmp_path / "data", port=port))
    assert problem.code == "port_taken"
    assert problem.message == f"Port {port} on 127.0.0.1 is in use by another program."
    assert not (tmp_path / "data").exists()


def test_an_address_that_is_not_this_machines(tmp_path: Path) -> None:
    problem = refused(ServerSettings(data=tmp_path, host="192.0.2.1", port=0))
    assert problem.code == "address_unusable"


def test_a_folder_another_server_uses(tmp_path: Path) -> None:
    with hold_folder(tmp_path):
        assert refused(ServerSettings(data=tmp_path, port=0)).code == "data_folder_in_use"


def test_a_folder_of_a_newer_tunery(tmp_path: Path) -> None:
    (tmp_path / "VERSION").write_text("2\n")
    assert refused(ServerSettings(data=tmp_path, port=0)).code == "data_folder_newer"
    assert FolderLock(tmp_path / "server.lock").acquire()


def test_a_database_of_a_newer_tunery(tmp_path: Path) -> None:
    settings = ServerSettings(data=tmp_path, port=0)
    engine = open_database(settings)
    with writing(engine) as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    engine.dispose()
    problem = refused(settings)
    assert (problem.code, problem.params["found"]) == ("data_folder_newer", "9999")


@pytest.mark.parametrize("version", ["", "one", "1.5"])
def test_a_folder_that_is_not_ours(tmp_path: Path, version: str) -> None:
    (tmp_path / "VERSION").write_text(version)
    assert refused(ServerSettings(data=tmp_path, port=0)).code == "data_folder_unusable"


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    problem = refused(ServerSettings(data=tmp_path / "file" / "data", port=0))
    assert problem.code == "data_folder_unusable"
    assert "Traceback" not in str(problem)
    assert refused(ServerSettings(data=Path("/proc/tunery"), port=0)).code == "data_folder_unusable"
