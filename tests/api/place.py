"""A real application on a real data folder, and what opens it."""

from dataclasses import dataclass
from pathlib import Path

import httpx
import uvicorn
from fastapi import FastAPI
from sqlalchemy import insert

from tests.patience import PATIENCE
from tunery.core.settings import ServerSettings
from tunery.db.engine import open_database, writing
from tunery.db.tables import dataset, dataset_version, job, run
from tunery.schemas.run import ResolvedSpec, RunSpec
from tunery.server.app import create_app
from tunery.server.state import ServerState
from tunery.services.tokens import first_start

BASE = "http://127.0.0.1:8420"
UPLOAD_LIMIT = 3 * 2**20


@dataclass
class Place:
    """A data folder with an application on it, and what opens it."""

    app: FastAPI
    project: str
    token: str

    @property
    def state(self) -> ServerState:
        return self.app.state.tunery

    @property
    def folder(self) -> Path:
        return self.state.settings.folder

    @property
    def key(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}"}


def first_place(folder: Path) -> tuple[str, str]:
    """Lay out a data folder; returns its project and token."""
    engine = open_database(ServerSettings(data=folder))
    with writing(engine) as connection:
        project, token = first_start(connection)
    engine.dispose()
    assert token is not None
    return project, token


def open_place(folder: Path, project: str, token: str) -> Place:
    settings = ServerSettings(data=folder, minimum_rows=10, max_upload_bytes=UPLOAD_LIMIT)
    return Place(create_app(settings, work=False), project, token)


@dataclass
class Live:
    """The application on a port."""

    place: Place
    url: str
    server: uvicorn.Server

    def client(self) -> httpx.Client:
        return httpx.Client(base_url=self.url, headers=self.place.key, timeout=PATIENCE)


def add_dataset(place: Place) -> None:
    """A published version of the dataset `rows`, as far as the database knows."""
    common = {"project_id": place.project, "format": "alpaca", "created": 1}
    with writing(place.state.engine) as connection:
        connection.execute(insert(dataset).values(id="ds_1", name="rows", **common))
        connection.execute(
            insert(dataset_version).values(
                id="dsv_1",
                dataset_id="ds_1",
                version=1,
                state="published",
                row_kind="conversation",
                content_hash="0" * 64,
                rows=500,
                published=1,
                **common,
            )
        )


def add_run(place: Place) -> None:
    """A running run `run_1`, as far as the database knows."""
    common = {"project_id": place.project, "created": 1}
    spec = {"name": "j", "base_model": "b", "data": "rows"}
    resolved = ResolvedSpec(
        spec=RunSpec.model_validate(spec), origins={}, base_model_hash="0", data_hashes={}, code_version="0"
    )
    with writing(place.state.engine) as connection:
        connection.execute(insert(job).values(id="job_1", name="j", task="t", description="", **common))
        connection.execute(
            insert(run).values(
                id="run_1",
                job_id="job_1",
                number=1,
                state="running",
                method="sft",
                base_model="b",
                resolved=resolved.model_dump(mode="json"),
                inputs={},
                stages=[],
                progress={},
                event_seq=0,
                **common,
            )
        )
