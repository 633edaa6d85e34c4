"""Connections: the list, the form made from each kind's settings, and one with its test and an import."""

from typing import Annotated, Any

from fastapi import Depends, Form, Request
from starlette.responses import Response

from tunery.schemas.connection import ConnectionImport, ConnectionRequest
from tunery.schemas.project import ExtensionInfo
from tunery.services import connections, extensions
from tunery.services.connections import Stored
from tunery.web.page import Visit, Visitor, filled, room

router = room()
_LIST = 50


async def _fields(request: Request) -> dict[str, str]:
    form = await request.form()
    return {name: value for name, value in form.items() if isinstance(value, str)}


@router.get("/connections")
def overview(visit: Visitor, after: str | None = None) -> Response:
    """All connections, newest first."""
    with visit.reading() as ctx:
        page = connections.list_connections(ctx, _LIST, after)
    titles = {kind.name: kind.title for kind in connections.kinds()}
    return visit.page("connections.html", page=page, after=after, titles=titles)


@router.get("/connections/new")
def new(visit: Visitor, kind: str = "s3") -> Response:
    """The form of one kind."""
    known = connections.kinds()
    chosen = next((info for info in known if info.name == kind), known[0])
    return visit.page("connection_new.html", kinds=known, chosen=chosen, fields=_form_of(chosen))


@router.post("/connections")
def create(visit: Visitor, given: Annotated[dict[str, str], Depends(_fields)]) -> Response:
    """Store a connection and try it."""
    settings = {name: value for name, value in given.items() if name not in ("connection_name", "kind")}
    name, kind = given.get("connection_name", "").strip(), given.get("kind", "")
    request = filled(ConnectionRequest, name=name, kind=kind, settings=settings)
    made = connections.prepared(visit.request.app.state.tunery.settings, request)
    with visit.writing() as ctx:
        stored = connections.create_connection(ctx, made)
    _try(visit, stored.id)
    return visit.go(f"/connections/{stored.name}")


@router.get("/connections/{connection}")
def one(visit: Visitor, connection: str) -> Response:
    """One connection."""
    with visit.reading() as ctx:
        found = connections.get_connection(ctx, connection)
    kind = next((info for info in connections.kinds() if info.name == found.kind), None)
    titles = {name: about["title"] for name, about in _properties(kind).items()} if kind else {}
    return visit.page(
        "connection.html",
        connection=found,
        kind=kind,
        titles=titles,
        formats=extensions.formats(),
        path_help=connections.path_help(found.kind),
    )


@router.post("/connections/{connection}/test")
def test(visit: Visitor, connection: str) -> Response:
    """Try it; the answer is the part of the page that says what came of it."""
    place = _try(visit, connection)
    if visit.request.headers.get("HX-Request") != "true":
        return visit.go(f"/connections/{place.name}")
    with visit.reading() as ctx:
        found = connections.get_connection(ctx, place.id)
    return visit.part("parts/connection_test.html", connection=found)


@router.post("/connections/{connection}/import")
def import_files(
    visit: Visitor,
    connection: str,
    name: Annotated[str, Form()],
    path: Annotated[str, Form()] = "",
    format: Annotated[str, Form()] = "",
    accept_bad_rows: Annotated[bool, Form()] = False,
    publish: Annotated[bool, Form()] = False,
) -> Response:
    """Queue an import and show the dataset it becomes."""
    body = filled(
        ConnectionImport,
        name=name.strip(),
        path=path,
        format=format,
        accept_bad_rows=accept_bad_rows,
        publish=publish,
    )
    with visit.reading() as ctx:
        place = connections.stored(ctx, connection)
    choice = connections.look(place, body.path)
    with visit.writing() as ctx:
        dataset = connections.import_files(ctx, place, body, choice)
    return visit.go(f"/datasets/{dataset.name}")


@router.post("/connections/{connection}/delete")
def delete(visit: Visitor, connection: str) -> Response:
    """Delete a connection and its secrets."""
    with visit.writing() as ctx:
        connections.delete_connection(ctx, connection)
    return visit.go("/connections")


def _try(visit: Visit, connection: str) -> Stored:
    with visit.reading() as ctx:
        place = connections.stored(ctx, connection)
    outcome = connections.try_out(place)
    with visit.writing() as ctx:
        connections.remember_test(ctx, place, outcome)
    return place


def _properties(kind: ExtensionInfo) -> dict[str, Any]:
    return (kind.json_schema or {}).get("properties", {})


def _form_of(kind: ExtensionInfo) -> list[dict[str, Any]]:
    """What the form shows of each setting."""
    needed = (kind.json_schema or {}).get("required", [])
    return [
        {
            "name": name,
            "title": about.get("title", name),
            "help": about.get("description", ""),
            "secret": about.get("writeOnly", False)
            or any(one.get("writeOnly") for one in about.get("anyOf", [])),
            "needed": name in needed,
            "choices": about.get("enum", []),
            "value": about.get("default") or "",
            "example": (about.get("examples") or [""])[0],
        }
        for name, about in _properties(kind).items()
    ]
