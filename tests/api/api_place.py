"""A real application on a real data folder, and what opens it."""

from dataclasses import dataclass
from pathlib import Path

import httpx
import uvicorn
from fastapi import FastAPI

from tunery.core.settings import ServerSettings
from tunery.db.engine import open_database, writing
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
        return httpx.Client(base_url=self.url, headers=self.place.key, timeout=30)
