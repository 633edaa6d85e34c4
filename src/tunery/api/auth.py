"""Who is calling. Every address is closed unless it is on the short list of open ones.

The gate stands before the router: a new route is behind it without anyone remembering. It reads no body.
How a caller is recognised is handed in; this module knows no database.
"""

from collections.abc import Callable
from typing import Annotated

import anyio.to_thread
from fastapi import Depends
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from tunery.api.problems import Respond, problem_of
from tunery.core.errors import Problem

OPEN_ADDRESSES = frozenset({"/api/v1/health", "/login"})
OPEN_FOLDERS = ("/static/",)
_LOOKUPS_AT_ONCE = 8
_BEARER = HTTPBearer(auto_error=False, description="A token made by `tunery token new`.")


class Gate:
    """ASGI middleware: lets recognised callers in and notes whose project they work in."""

    def __init__(self, app: ASGIApp, *, recognise: Callable[[Request], str], respond: Respond) -> None:
        self._app = app
        self._recognise = recognise
        self._respond = respond
        # Lookups have threads of their own: handlers that wait for a database must not keep them out.
        self._threads = anyio.CapacityLimiter(_LOOKUPS_AT_ONCE)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or is_open(scope["path"]):
            return await self._app(scope, receive, send)
        request = Request(scope)
        try:
            project = await anyio.to_thread.run_sync(self._recognise, request, limiter=self._threads)
        except Exception as error:
            return await self._respond(request, problem_of(request, error))(scope, receive, send)
        scope.setdefault("state", {})["project"] = project
        await self._app(scope, receive, send)


def is_open(path: str) -> bool:
    """Whether an address answers to anyone."""
    return path in OPEN_ADDRESSES or path.startswith(OPEN_FOLDERS)


def bearer_token(request: Request) -> str | None:
    """The token in the Authorization header; None when there is no such header."""
    header = request.headers.get("authorization")
    if header is None:
        return None
    scheme, _, token = header.partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise Problem("not_authenticated")
    return token.strip()


def known_project(request: Request) -> str | None:
    """The project of the caller the gate let in; None where there was no gate."""
    return request.scope.get("state", {}).get("project")


def _project(request: Request, _: Annotated[HTTPAuthorizationCredentials | None, Depends(_BEARER)]) -> str:
    project = known_project(request)
    if project is None:
        raise Problem("not_authenticated")
    return project


Project = Annotated[str, Depends(_project)]
"""The caller's project, for handlers and routers; it also writes the security scheme into the OpenAPI document."""
