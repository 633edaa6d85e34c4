"""Errors on their way out: every exception becomes a Problem, every Problem a ProblemDocument.

It knows no route. Other surfaces (`/v1`, the console) hand in their own way to show a Problem.
"""

import errno
import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from tunery.core.errors import Problem, Where
from tunery.core.ids import new_id
from tunery.core.storage import storage_problem
from tunery.db.faults import database_problem
from tunery.schemas.words import said

Respond = Callable[[Request, Problem], Response]
"""How a surface shows a Problem."""


class RefusedBody(HTTPException):
    """A Problem met while a body is read. FastAPI lets only this kind of exception out of there."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.status, problem.message)
        self.problem = problem


_LOG = logging.getLogger("tunery.server")
_DATA = Path("the data folder")
"""What an answer says instead of a path that isn't everyone's to know."""


def problem_response(problem: Problem) -> Response:
    """A Problem as /api/v1 shows it."""
    headers = {"WWW-Authenticate": "Bearer"} if problem.status == 401 else None
    document = problem.as_dict()
    document.setdefault("errors", [problem.as_dict()])
    return JSONResponse(document, status_code=problem.status, headers=headers)


def install_handlers(app: FastAPI, respond: Respond) -> None:
    """Show what handlers raise by `respond`. What nobody expected is the guard's to catch."""

    async def show(request: Request, error: Exception) -> Response:
        return respond(request, problem_of(request, error))

    for kind in (Problem, RequestValidationError, HTTPException):
        app.add_exception_handler(kind, show)


def problem_of(request: Request, error: Exception) -> Problem:
    """The Problem that an exception stands for; one nobody expected is logged and becomes `internal`."""
    if isinstance(error, Problem):
        return error
    if isinstance(error, RefusedBody):
        return error.problem
    if isinstance(error, RequestValidationError):
        return _invalid(error)
    if isinstance(error, HTTPException) and error.status_code in (404, 405):
        return Problem("no_such_address", method=request.method, path=request.url.path)
    if isinstance(error, HTTPException) and error.status_code < 500:
        return Problem("invalid_request", detail=f"{error.detail}.".replace("..", "."))
    if isinstance(error, OSError) and error.errno == errno.ENAMETOOLONG:
        return Problem("invalid_request", detail="A path in the request is longer than a file name may be.")
    refused = storage_problem(error, _DATA) or database_problem(error, _DATA)
    if refused is not None:
        _LOG.warning("%s %s: %s", request.method, request.url.path, error)
        return refused
    reference = new_id("err")
    _LOG.error("%s: %s %s", reference, request.method, request.url.path, exc_info=error)
    return Problem("internal", reference=reference)


def _invalid(error: RequestValidationError) -> Problem:
    """Name every wrong field; never repeat a value, which may be a secret."""
    return Problem.together([_wrong_field(one) for one in error.errors()])


def _wrong_field(found: Mapping[str, Any]) -> Problem:
    source, *path = found["loc"] or ("body",)
    if found["type"] == "json_invalid":
        offset = path[0] if path and isinstance(path[0], int) else None
        detail = f"The body isn't JSON: {found['ctx']['error']} at character {offset}."
        return Problem("invalid_request", where=Where(offset=offset), detail=detail)
    field = ".".join(str(part) for part in path) or str(source)
    return Problem("invalid_request", where=Where(field=field), detail=f"{field}: {said(found)}.")
