"""The whole product as people run it: `tunery up`, its worker, real engines and replicas, and their process ids."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.held_engine import HELD_ENGINE
from tests.hold import Hold
from tests.patience import PATIENCE
from tunery.core.attempt import attempt_folder
from tunery.core.process import ProcessIdentity
from tunery.sdk.client import Client


@dataclass
class Whole:
    """A server on a data folder of its own that can be killed and started again."""

    folder: Path
    port: int
    settings: dict[str, str] = field(default_factory=dict)
    """More of the server's environment."""
    process: "subprocess.Popen[str] | None" = None
    clients: list[Client] = field(default_factory=list)

    @property
    def data(self) -> Path:
        return self.folder / "data"

    @property
    def hold(self) -> Hold:
        """How far its engines may go, where `hold_engines` was called before the start."""
        return Hold(self.folder / "hold")

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> Client:
        """Start it and give a client; the token is remembered from the first start."""
        clean = {name: value for name, value in os.environ.items() if not name.startswith("TUNERY_")}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tunery.cli", "up", "--port", str(self.port), "--json"],
            cwd=self.folder,
            env={
                **clean,
                "TUNERY_CONFIG": str(self.folder / "client.json"),
                "TUNERY_DATA": str(self.data),
                "TUNERY_HEARTBEAT_SECONDS": "0.5",
                "TUNERY_LEASE_SECONDS": "60",
                **self.hold.environment,
                "TUNERY_ENGINE_THREADS": "1",
                "TUNERY_STANDBY_ENGINES": "0",
                **self.settings,
            },
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout is not None
        said = ""
        while not said.endswith("}\n"):
            line = self.process.stdout.readline()
            assert line, f"the server ended: {said}"
            said += line
        token = json.loads(said)["token"]
        if token:
            (self.folder / "token").write_text(token)
        client = Client(self.url, (self.folder / "token").read_text())
        self.clients.append(client)
        return client

    def hold_engines(self) -> None:
        """Its engines are the real one that heeds the hold."""
        self.settings["TUNERY_ENGINE_COMMAND"] = json.dumps(HELD_ENGINE)

    def kill_server(self) -> None:
        """kill -9; its worker is ended by the kernel."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()
        if self.process.stdout is not None:
            self.process.stdout.close()

    def kill_worker(self) -> None:
        os.kill(self._child("tunery.jobs"), 9)

    def kill_engine(self, run: str, attempt: int, stage: str = "train") -> None:
        engine = ProcessIdentity.load(attempt_folder(self.data, run, attempt, stage).process)
        assert engine is not None
        os.kill(engine.pid, 9)

    def _child(self, module: str) -> int:
        assert self.process is not None
        for path in Path("/proc").glob("[0-9]*"):
            try:
                words = (path / "cmdline").read_bytes().split(b"\0")
                parent = (path / "stat").read_text().rpartition(")")[2].split()[1]
            except OSError:
                continue
            if module.encode() in words and int(parent) == self.process.pid:
                return int(path.name)
        raise AssertionError(f"no {module} runs under the server")

    def close(self) -> None:
        for client in self.clients:
            client.close()
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()
            self.process.wait(PATIENCE)
        if self.process is not None and self.process.stdout is not None:
            self.process.stdout.close()


def spec(model: Path, dataset: str, **changes: Any) -> dict[str, Any]:
    """A run that takes some seconds on one thread."""
    settings = {
        "learning_rate": 0.001,
        "epochs": 1,
        "batch_size": 4,
        "gradient_accumulation_steps": 1,
        "max_sequence_length": 128,
        "checkpoint_steps": 5,
        "lora_dropout": 0.1,
        **changes.pop("settings", {}),
    }
    return {
        "base_model": str(model),
        "data": dataset,
        "settings": settings,
        "resources": {"threads": 1},
        **changes,
    }
