"""An application with /v1 alone, on a port, over a real pool. What is served is listed here, not in a database."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import uvicorn
from fastapi import FastAPI
from starlette.requests import Request

from tests.replica.models import Models
from tunery.api.guard import Guard
from tunery.api.problems import install_handlers
from tunery.core.errors import Problem
from tunery.core.settings import ServerSettings
from tunery.openai.problems import respond
from tunery.openai.router import create_router
from tunery.serve.replicas import ReplicaPool
from tunery.serve.router import Target

KEY = "tnr_right"


@dataclass
class Edge:
    """What routes find in `app.state.tunery`."""

    pool: ReplicaPool
    settings: ServerSettings
    open_transactions: int = 0

    def authenticate(self, request: Request) -> str:
        if request.headers.get("authorization") != f"Bearer {KEY}":
            raise Problem("not_authenticated")
        return "prj_default"

    @contextmanager
    def context(self, project: str, *, write: bool = True) -> Iterator[str]:
        self.open_transactions += 1
        try:
            yield project
        finally:
            self.open_transactions -= 1


def targets_of(models: Models, broken: Path) -> list[Target]:
    """Everything this place serves."""
    tuned = {"base_folder": models.base, "base_model": "toy", "created": 1_700_000_000_000_000}
    return [
        Target("first:1", adapter_folder=models.first, adapter_name="mv_1", version="first:1", **tuned),
        Target(
            "org/second:1", adapter_folder=models.second, adapter_name="mv_2", version="org/second:1", **tuned
        ),
        Target("toy", models.base, base_model="toy"),
        Target("broken", broken, base_model="broken"),
    ]


class Live:
    """The application on a loopback port."""

    def __init__(self, folder: Path, port: int) -> None:
        settings = ServerSettings(data=folder, replica_dtype="float32", engine_threads=1)
        self.edge = Edge(ReplicaPool(settings, folder), settings)
        app = FastAPI()
        app.state.tunery = self.edge
        install_handlers(app, respond)
        app.add_middleware(Guard, respond=respond, hosts=(), upload_paths=(), upload_limit=0)
        app.include_router(create_router())
        self.url = f"http://127.0.0.1:{port}/v1"
        self._server = uvicorn.Server(uvicorn.Config(app, port=port, log_level="warning", lifespan="off"))
        self._thread = threading.Thread(target=self._server.run)

    def start(self) -> None:
        self._thread.start()
        while not self._server.started:
            time.sleep(0.02)

    def stop(self) -> None:
        self._server.should_exit = True
        self._thread.join()
        self.edge.pool.close()
