"""A whole server as people start it, on a free port, with the fake engine; and the `tunery` command beside it."""

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from click.testing import CliRunner

from tests.hold import Hold
from tests.jobs.house import FAKE_ENGINE
from tests.patience import PATIENCE
from tunery.cli.main import cli

CLOSED = "http://127.0.0.1:9"
"""Nothing listens there."""


def environment(folder: Path, **more: str) -> dict[str, str]:
    """A user's environment of their own: nothing of this machine's Tunery is seen or touched."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("TUNERY_")}
    own = {
        "TUNERY_CONFIG": str(folder / "client.json"),
        "TUNERY_DATA": str(folder / "data"),
        "TUNERY_ENGINE_COMMAND": json.dumps(FAKE_ENGINE),
        "TUNERY_STANDBY_ENGINES": "0",
        **Hold(folder / "hold").environment,
    }
    return {**clean, **own, **more}


@dataclass(frozen=True)
class Done:
    """A command that has ended."""

    returncode: int
    stdout: str
    stderr: str


def tunery(folder: Path, *arguments: str | Path, **more: str) -> Done:
    """Run the command to its end in this process, as a user whose files lie in `folder`.

    What would be a stack trace is raised here.
    """
    wanted = environment(folder, **more)
    gone: dict[str, str | None] = {name: None for name in os.environ if name not in wanted}
    with contextlib.chdir(folder):
        result = CliRunner().invoke(cli, [*map(str, arguments)], env={**gone, **wanted})
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return Done(result.exit_code, result.stdout, result.stderr)


@dataclass(frozen=True)
class Served:
    """A running server, and the folder of the user who started it."""

    folder: Path
    url: str
    token: str
    process: "subprocess.Popen[str]"

    @property
    def hold(self) -> Hold:
        """How far the engines of this server may go."""
        return Hold(self.folder / "hold")

    def tunery(self, *arguments: str | Path) -> Done:
        """Run the command as the user who started the server."""
        return tunery(self.folder, *arguments)


@contextmanager
def server(folder: Path, *, port: int = 0, **more: str) -> Iterator[Served]:
    """`tunery up` on a fresh data folder. Who starts it again needs a `port` that nobody takes meanwhile."""
    errors = folder / "up.err"
    with errors.open("w") as noted:
        process = subprocess.Popen(
            [sys.executable, "-m", "tunery.cli", "up", "--port", str(port), "--json"],
            cwd=folder,
            env=environment(folder, **more),
            stdout=subprocess.PIPE,
            stderr=noted,
            text=True,
        )
    try:
        assert process.stdout is not None
        said = ""
        while not said.endswith("}\n"):
            line = process.stdout.readline()
            assert line, errors.read_text()
            said += line
        told = json.loads(said)
        yield Served(folder, told["url"], told["token"], process)
    finally:
        process.send_signal(signal.SIGINT)
        try:
            process.communicate(timeout=PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            raise
