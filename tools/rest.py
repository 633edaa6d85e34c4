"""The REST API: the OpenAPI document of the application, and a table of its addresses."""

import tempfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import orjson
from fastapi.routing import APIRoute

from tools import markdown, schema
from tools.markdown import code
from tunery.core.settings import ServerSettings
from tunery.openai import router as openai
from tunery.openai.requests import ChatRequest
from tunery.server.app import create_app

_VERBS = ("get", "head", "options", "post", "put", "patch", "delete")


@cache
def _openapi() -> dict[str, Any]:
    """What the application says of itself; it is made on an empty data folder and never started."""
    with tempfile.TemporaryDirectory() as folder:
        app = create_app(ServerSettings(data=Path(folder)), work=False)
        try:
            return app.openapi()
        finally:
            app.state.tunery.engine.dispose()


def document() -> str:
    """The OpenAPI document."""
    return orjson.dumps(_openapi(), option=orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS).decode() + "\n"


def page() -> str:
    """The table of addresses, and every document that crosses the wire."""
    found = _openapi()
    groups: dict[str, list[tuple[object, ...]]] = {}
    for path, verbs in found["paths"].items():
        for verb in _VERBS:
            if verb in verbs:
                tag = (verbs[verb].get("tags") or ["other"])[0]
                groups.setdefault(tag, []).append(_row(path, verb, verbs[verb]))
    columns = ["", "address", "takes", "answers", "what"]
    return markdown.page(
        "REST API",
        "Every address with what it takes and answers; the machine-readable form is "
        "[openapi.json](openapi.json).",
        "Send `Authorization: Bearer TOKEN` with every request but `GET /api/v1/health`. Errors under "
        "`/api/v1` are a `ProblemDocument` with the error's own HTTP status ([errors](errors.md)); under "
        "`/v1` they have OpenAI's shape. Lists come in pages: `limit` (20, at most 100) and `after`, the id "
        "of the last item you have.",
        *(markdown.section(tag, markdown.table(columns, rows)) for tag, rows in groups.items()),
        _for_openai_clients(),
        "## Documents",
        *_documents(found),
    )


def _row(path: str, verb: str, route: dict[str, Any]) -> tuple[object, ...]:
    body = "".join(_content(route.get("requestBody", {})))
    asks = [code(p["name"]) for p in route.get("parameters", []) if p["in"] in ("query", "header")]
    takes = "; ".join(part for part in (body, ", ".join(asks)) if part)
    answers = [
        f"{status} {' or '.join(_content(reply))}".strip()
        for status, reply in route["responses"].items()
        if status.startswith("2")
    ]
    return (
        verb.upper(),
        code(path),
        takes,
        ", ".join(answers),
        route.get("description") or route.get("summary"),
    )


def _for_openai_clients() -> str:
    """What is under /v1: in OpenAI's shape, so it isn't in our own description."""
    rows = [
        (verb, code(route.path))
        for route in openai.create_router().routes
        if isinstance(route, APIRoute)
        for verb in sorted(route.methods or ())
    ]
    return markdown.section(
        "under /v1, for OpenAI's clients",
        "`model` is the name of a base model, `NAME` of a published model (its newest version) or `NAME:VERSION`. "
        "Of a chat request these fields are taken; one that would change the answer and isn't among them is "
        "refused by name, others are ignored. With `stream: true` the answer comes in server-sent events.",
        markdown.table(["", "address"], rows),
        schema.fields(ChatRequest.model_json_schema()),
    )


def _content(holder: dict[str, Any]) -> Iterator[str]:
    for kind, about in holder.get("content", {}).items():
        shape = about.get("schema") or {}
        named = schema.type_of(shape) if shape else kind
        yield f"{named} ({kind})" if kind not in ("application/json", named) else named


def _documents(found: dict[str, Any]) -> Iterator[str]:
    for name, shape in sorted(found["components"]["schemas"].items()):
        if "properties" in shape:
            yield f"### {name}\n\n{schema.about(shape)}\n\n{schema.fields(shape)}"
