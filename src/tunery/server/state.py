"""What all surfaces of one server share: `app.state.tunery`."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Engine
from starlette.requests import Request

from tunery.api.auth import bearer_token, known_project
from tunery.blobs.point import BlobStore
from tunery.core.errors import Problem
from tunery.core.settings import ServerSettings
from tunery.db.engine import reading, writing
from tunery.serve.replicas import ReplicaPool
from tunery.services import sessions, tokens
from tunery.services.context import Context
from tunery.services.sessions import COOKIE, Sessions
from tunery.services.upload_writers import Writers


class ServerState:
    """The parts of a running server, and the two things every surface asks: who is it, and a transaction."""

    def __init__(
        self,
        settings: ServerSettings,
        engine: Engine,
        blobs: BlobStore,
        pool: ReplicaPool,
        sessions: Sessions,
    ) -> None:
        self.settings = settings
        self.engine = engine
        self.blobs = blobs
        self.pool = pool
        self.sessions = sessions
        self.writers = Writers()
        self.closing = asyncio.Event()
        """Set when the server ends; whatever sends without end stops then."""

    @contextmanager
    def context(self, project: str, *, write: bool = True) -> Iterator[Context]:
        """One transaction on the services; committed at the end, undone by an exception."""
        with (writing if write else reading)(self.engine) as connection:
            yield Context(connection, self.settings, self.blobs, project)

    def authenticate(self, request: Request) -> str:
        """The project of the caller. Raises Problem `not_authenticated`.

        At an open address nobody has asked before, so it is looked up now.
        """
        return known_project(request) or self.recognise(request)

    def recognise(self, request: Request) -> str:
        """The project that the request's token or session cookie opens. Raises Problem `not_authenticated`."""
        secret = bearer_token(request)
        cookie = request.cookies.get(COOKIE)
        with reading(self.engine) as connection:
            if secret is not None:
                project = tokens.project_of(connection, secret)
            else:
                project = sessions.project_of(connection, self.sessions, cookie) if cookie else None
        if project is None:
            raise Problem("not_authenticated")
        return project

    def sign_in(self, secret: str) -> str | None:
        """The session cookie's value for someone who shows a token; None when the token opens nothing."""
        with reading(self.engine) as connection:
            return sessions.sign_in(connection, self.sessions, secret)
