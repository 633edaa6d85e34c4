"""Problems in OpenAI's shape: {"error": {message, type, code, param}}."""

from typing import Any

import orjson
from fastapi.responses import JSONResponse
from starlette.requests import Request
from starlette.responses import Response

from tunery.core.errors import Problem

_CODES = {
    "not_authenticated": "invalid_api_key",
    "model_not_served": "model_not_found",
    "replica_busy": "rate_limit_exceeded",
    "replicas_taken": "rate_limit_exceeded",
}
"""Codes OpenAI has a word of its own for; all others keep ours."""
_TYPES = {401: "authentication_error", 403: "permission_error", 429: "rate_limit_error"}
_WORTH_A_RETRY = {"replica_busy": 2, "replicas_taken": 10, "answer_broken_off": 1}
"""Seconds after which the same request may succeed. Everything else fails the same way again."""


def respond(request: Request, problem: Problem) -> Response:
    """A Problem as /v1 shows it."""
    seconds = _WORTH_A_RETRY.get(problem.code)
    # Without this header the client sends 409 and 5xx again by itself.
    headers = {"x-should-retry": "false"} if seconds is None else {"retry-after": str(seconds)}
    if problem.status == 401:
        headers["www-authenticate"] = "Bearer"
    return JSONResponse(error_body(problem), status_code=_status(problem), headers=headers)


def error_body(problem: Problem) -> dict[str, Any]:
    """The document; also what stands in a stream that breaks off."""
    status = _status(problem)
    kind = _TYPES.get(status, "server_error" if status >= 500 else "invalid_request_error")
    param = problem.where.field or ("model" if problem.code == "model_not_served" else None)
    message = f"{problem.message} {problem.cure}".strip()
    return {
        "error": {
            "message": message,
            "type": kind,
            "code": _CODES.get(problem.code, problem.code),
            "param": param,
        }
    }


def error_event(problem: Problem) -> bytes:
    """A server-sent event that the client raises as an error."""
    return b"data: " + orjson.dumps(error_body(problem)) + b"\n\n"


def _status(problem: Problem) -> int:
    # OpenAI says 400 where we say 422.
    return 400 if problem.status == 422 else problem.status
