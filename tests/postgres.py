"""A PostgreSQL server of the tests' own: real, on a free loopback port, gone with the test session."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

from sqlalchemy import create_engine, text

from tools.postgres import programs

_NUMBERS = count(1)


@contextmanager
def postgres_server(port: int) -> Iterator[str]:
    """The URL of a running server's database `postgres`. It can't run as root, so root's runs as nobody."""
    folder = Path(tempfile.mkdtemp(prefix="tunery-postgres-"))
    data = folder / "data"
    commands = programs()
    user = "nobody" if os.geteuid() == 0 else None
    if user:
        shutil.chown(folder, user)
    make = [commands / "initdb", "-D", data, "-U", "tunery", "-A", "trust", "-E", "UTF8", "--no-sync"]
    subprocess.run(make, check=True, user=user, cwd=folder, stdout=subprocess.DEVNULL)
    options = ["-D", data, "-p", str(port), "-h", "127.0.0.1", "-k", folder, "-c", "fsync=off"]
    with (folder / "log").open("wb") as log:
        server = subprocess.Popen([commands / "postgres", *options], user=user, cwd=folder, stderr=log)
    url = f"postgresql://tunery@127.0.0.1:{port}/postgres"
    try:
        ready = [commands / "pg_isready", "-q", "-h", "127.0.0.1", "-p", str(port), "-t", "30"]
        while subprocess.run(ready).returncode:
            assert server.poll() is None, (folder / "log").read_text()
        yield url
    finally:
        server.kill()
        server.wait()
        shutil.rmtree(folder)


def new_database(server: str) -> str:
    """The URL of a new, empty database on the server."""
    name = f"tests_{next(_NUMBERS)}"
    engine = create_engine(server.replace("postgresql:", "postgresql+psycopg:"), isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text(f'CREATE DATABASE "{name}"'))
    engine.dispose()
    return server.rpartition("/")[0] + "/" + name
