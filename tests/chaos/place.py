"""A server, a second worker and perhaps a PostgreSQL, each started again when it dies, as a machine's init would."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

from sqlalchemy import select
from sqlalchemy.exc import DBAPIError

from tests.jobs.house import House
from tests.patience import PATIENCE
from tests.ports import free_port
from tests.served import environment
from tools.postgres import programs
from tunery.core.attempt import AttemptFolder
from tunery.core.process import ProcessIdentity
from tunery.core.settings import ServerSettings
from tunery.db.engine import reading
from tunery.db.tables import attempt, worker

_START_SECONDS = PATIENCE


class Postgres:
    """A PostgreSQL of its own that can be killed and comes back with what it had."""

    def __init__(self) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="tunery-chaos-postgres-"))
        self._user = "nobody" if os.geteuid() == 0 else None
        if self._user:
            shutil.chown(self._folder, self._user)
        self._port = free_port()
        self.url = f"postgresql://tunery@127.0.0.1:{self._port}/postgres"
        make = ["-D", self._folder / "data", "-U", "tunery", "-A", "trust", "-E", "UTF8", "--no-sync"]
        subprocess.run(
            [programs() / "initdb", *make],
            check=True,
            user=self._user,
            cwd=self._folder,
            stdout=subprocess.DEVNULL,
        )
        self.start()

    def start(self) -> None:
        options = ["-D", self._folder / "data", "-p", str(self._port), "-h", "127.0.0.1", "-k", self._folder]
        with (self._folder / "log").open("ab") as log:
            self._server = subprocess.Popen(
                [programs() / "postgres", *options], user=self._user, cwd=self._folder, stderr=log
            )
        ready = [programs() / "pg_isready", "-q", "-h", "127.0.0.1", "-p", str(self._port)]
        end = time.monotonic() + _START_SECONDS
        while subprocess.run(ready).returncode:
            assert time.monotonic() < end, (self._folder / "log").read_text()
            time.sleep(0.1)

    def crash(self) -> None:
        """Every process of it at once, and what wasn't on the disk is gone; then it starts again."""
        self._server.send_signal(signal.SIGQUIT)
        self._server.wait()
        self.start()

    def close(self) -> None:
        self._server.kill()
        self._server.wait()
        shutil.rmtree(self._folder, ignore_errors=True)


@dataclass
class Place:
    """Everything that runs, and the database to look into."""

    folder: Path
    postgres: Postgres | None
    port: int = field(default_factory=free_port)
    token: str = ""
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        database = self.postgres.url if self.postgres else ""
        self._environment = environment(self.folder, TUNERY_DATABASE_URL=database)
        self._start("server")
        self._wait_for_server()
        self.token = json.loads((self.folder / "client.json").read_text())["token"]
        self.house = House(self.folder, ServerSettings(data=self.folder / "data", database_url=database))
        self._start("worker")

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def keep(self) -> None:
        """Start again what died."""
        for name, process in list(self.processes.items()):
            if process.poll() is not None:
                self._start(name)

    def workers(self) -> dict[str, ProcessIdentity]:
        """Living workers, by id."""
        with reading(self.house.engine) as connection:
            rows = connection.execute(select(worker)).all()
        found = {row.id: ProcessIdentity(row.pid, row.started, row.boot) for row in rows}
        return {id: identity for id, identity in found.items() if identity.alive()}

    def engines(self) -> list[ProcessIdentity]:
        """Living engines of open attempts."""
        with reading(self.house.engine) as connection:
            folders = connection.scalars(select(attempt.c.folder).where(attempt.c.ended.is_(None))).all()
        found = [ProcessIdentity.load(AttemptFolder(Path(folder)).process) for folder in folders]
        return [one for one in found if one is not None and one.alive()]

    def freeze(self, identity: ProcessIdentity) -> bool:
        """SIGSTOP at a moment when it neither holds nor awaits the one write lock."""
        for _ in range(200):
            os.kill(identity.pid, signal.SIGSTOP)
            try:
                if self.house._may_write():
                    return True
            except DBAPIError:
                pass
            os.kill(identity.pid, signal.SIGCONT)
            time.sleep(0.02)
        return False

    def log(self) -> str:
        return "".join(path.read_text(errors="replace") for path in self.folder.glob("*.log"))

    def close(self) -> None:
        for process in self.processes.values():
            process.terminate()
        for process in self.processes.values():
            try:
                process.wait(timeout=PATIENCE)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self.house.engine.dispose()

    def _start(self, name: str) -> None:
        commands = {
            "server": ["-m", "tunery.cli", "up", "--port", str(self.port), "--json"],
            "worker": ["-m", "tunery.jobs", "--data", str(self.folder / "data")],
        }
        with (self.folder / f"{name}.log").open("ab") as log:
            self.processes[name] = subprocess.Popen(
                [sys.executable, *commands[name]],
                cwd=self.folder,
                env=self._environment,
                stdout=subprocess.DEVNULL,
                stderr=log,
            )

    def _wait_for_server(self) -> None:
        end = time.monotonic() + _START_SECONDS
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                if (self.folder / "client.json").exists():
                    return
            except OSError:
                assert time.monotonic() < end, self.log()
            time.sleep(0.1)
