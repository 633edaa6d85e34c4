"""The application: everything composed. Opens the database, mounts the surfaces, starts and stops what runs along."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from fastapi import FastAPI
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from tunery import __version__
from tunery.api import router as api
from tunery.api.auth import Gate
from tunery.api.guard import Guard
from tunery.api.problems import install_handlers, problem_response
from tunery.api.uploads import remove_leftovers
from tunery.blobs.point import BLOBS
from tunery.connections.dial import vault_of
from tunery.core.errors import Problem
from tunery.core.folder import DataFolder
from tunery.core.settings import ServerSettings
from tunery.db.engine import open_database, reading
from tunery.openai import problems as openai_problems
from tunery.openai import router as openai
from tunery.serve.replicas import ReplicaPool
from tunery.server.folder import prepare_folder
from tunery.server.state import ServerState
from tunery.server.timekeeper import Timekeeper
from tunery.server.worker import WorkerKeeper
from tunery.services.sessions import Sessions, load_secret
from tunery.services.staging import sweep_uploads
from tunery.web import app as web
from tunery.web.page import problem_page

_UPLOADS = ("/api/v1/datasets", "/api/v1/uploads/*")
_WILDCARDS = {"", "0.0.0.0", "::"}
"""Addresses to listen on that are nobody's name."""


def create_app(settings: ServerSettings, *, work: bool = True) -> FastAPI:
    """The whole server on a data folder. `work`: keep a worker process along.

    Raises Problem `data_folder_unusable`, `data_folder_newer`.
    """
    folder = DataFolder(settings.folder)
    prepare_folder(folder)
    remove_leftovers(folder.uploads)
    vault_of(settings)  # its key is made at the first start
    engine = open_database(settings)
    with reading(engine) as connection:
        sweep_uploads(connection, folder.uploads)
    state = ServerState(
        settings,
        engine,
        BLOBS.load("local").open_store(str(folder.blobs)),
        ReplicaPool(settings, folder.path),
        Sessions(load_secret(folder.secret)),
    )
    app = FastAPI(
        title="Tunery",
        version=__version__,
        summary="A self-hosted platform to fine-tune, evaluate, publish and serve models",
        openapi_url="/api/openapi.json",
        docs_url=None,
        redoc_url=None,
        lifespan=_lifespan(state, WorkerKeeper(settings) if work else None),
    )
    app.state.tunery = state
    install_handlers(app, respond)
    app.add_middleware(Gate, recognise=state.recognise, respond=respond)
    app.add_middleware(
        Guard,
        respond=respond,
        hosts={settings.host, *settings.allowed_hosts} - _WILDCARDS,
        upload_paths=_UPLOADS,
        upload_limit=settings.max_upload_bytes,
    )
    app.include_router(api.create_router())
    app.include_router(openai.create_router())
    app.mount("/static", web.static_app())
    app.include_router(web.create_router())
    return app


def respond(request: Request, problem: Problem) -> Response:
    """Show a Problem as the surface it arose on shows them."""
    path = request.url.path
    if path.startswith("/v1/") or path == "/v1":
        return openai_problems.respond(request, problem)
    if path.startswith("/api/") or path == "/api":
        return problem_response(problem)
    return problem_page(request, problem)


def _lifespan(
    state: ServerState, keeper: WorkerKeeper | None
) -> Callable[[FastAPI], AbstractAsyncContextManager[None]]:
    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        timekeeper = Timekeeper(state)
        await timekeeper.start()
        if keeper is not None:
            await keeper.start()
        try:
            yield
        finally:
            state.closing.set()
            await timekeeper.stop()
            if keeper is not None:
                await keeper.stop()
            await run_in_threadpool(state.pool.close)
            state.engine.dispose()

    return lifespan
