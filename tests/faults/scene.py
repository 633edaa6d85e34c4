"""One server on one data folder, started and ended as the story of a test needs."""

import sqlite3
from collections.abc import Callable
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

from tests import patience
from tests.hold import Hold
from tests.patience import PATIENCE
from tests.served import Served, server
from tunery.core.attempt import AttemptFolder, attempt_folder
from tunery.schemas.run import RunDetail
from tunery.sdk.client import Client

QUICK = {"TUNERY_HEARTBEAT_SECONDS": "0.3", "TUNERY_LEASE_SECONDS": "1.5"}


class Scene:
    """What a user has: a file of rows, a base model, a client."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.data = folder / "data"
        self.hold = Hold(folder / "hold")
        self._stack = ExitStack()
        self._token = ""
        self.served: Served | None = None

    def up(self, **more: str) -> Client:
        """Start the server; the token is that of the first start."""
        self.served = self._stack.enter_context(server(self.folder, **{**QUICK, **more}))
        self._token = self.served.token or self._token
        return self._stack.enter_context(Client(self.served.url, self._token))

    def kill(self) -> None:
        """kill -9 of the server. Its worker ends with it, its engine lives on."""
        assert self.served is not None
        self.served.process.kill()
        self.served.process.wait()

    def with_rows(self, client: Client, name: str = "rows") -> None:
        client.datasets.create(self.folder / "rows.jsonl", name=name)
        client.datasets.wait(name)

    def begin(self, client: Client, steps: int, **changes: Any) -> str:
        spec = {"base_model": str(self.folder / "bare"), "data": "rows", "settings": {"max_steps": steps}}
        return client.runs.create({**spec, **changes}).id

    def attempt(self, run: str, number: int = 1) -> AttemptFolder:
        return attempt_folder(self.data, run, number)

    def reach(self, client: Client, run: str, step: int) -> None:
        self.wait(f"step {step}", lambda: client.runs.get(run).progress.step >= step)

    def wait(self, what: str, ready: Callable[[], object]) -> None:
        try:
            patience.wait(what, ready)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.log()}") from error

    def log(self) -> str:
        logs = sorted((self.data / "logs").glob("*.log"))
        return "".join(f"-- {log.name}\n{log.read_text()[-4000:]}" for log in logs)

    def database(self) -> "closing[sqlite3.Connection]":
        """A connection of another program's. Only where this process has no other open."""
        path = self.data / "tunery.db"
        return closing(sqlite3.connect(path, timeout=30, isolation_level=None))

    def close(self) -> None:
        self._stack.close()


def whole(client: Client, run: str, steps: int) -> RunDetail:
    """The run at its end: it succeeded, and every step is on its curve once."""
    ended = client.runs.wait(run, timeout=PATIENCE)
    assert ended.state == "succeeded", ended.reason
    (series,) = client.runs.metrics(run, names=["train_loss"], points=100_000)
    assert list(zip(series.steps, series.values, strict=True)) == [(n, 1 / n) for n in range(1, steps + 1)]
    return ended
