"""Connections: places outside this server that datasets are made from."""

from fastapi import APIRouter

from tunery.api.auth import Project
from tunery.api.paging import After, Limit
from tunery.api.session import Reading, Separate, Writing
from tunery.schemas.connection import Connection, ConnectionImport, ConnectionRequest, ConnectionTest
from tunery.schemas.dataset import Dataset
from tunery.schemas.project import ExtensionInfo, Page
from tunery.services import connections

router = APIRouter()


@router.get("/connection-kinds")
def list_connection_kinds(project: Project) -> list[ExtensionInfo]:
    """Kinds of connection, with the settings of each."""
    return connections.kinds()


@router.get("/connections")
def list_connections(ctx: Reading, limit: Limit = 20, after: After = None) -> Page[Connection]:
    """Connections without their secrets, newest first."""
    return connections.list_connections(ctx, limit, after)


@router.post("/connections", status_code=201)
def create_connection(body: ConnectionRequest, open: Separate) -> Connection:
    """Create a connection. Its secrets are stored encrypted and never returned."""
    made = connections.prepared(open.server, body)
    with open.writing() as ctx:
        return connections.create_connection(ctx, made)


@router.get("/connections/{connection}")
def get_connection(ctx: Reading, connection: str) -> Connection:
    """One connection, by name or id."""
    return connections.get_connection(ctx, connection)


@router.delete("/connections/{connection}", status_code=204)
def delete_connection(ctx: Writing, connection: str) -> None:
    """Delete a connection and its secrets. Datasets made from it stay; an import under way fails."""
    connections.delete_connection(ctx, connection)


@router.post("/connections/{connection}/test")
def test_connection(open: Separate, connection: str) -> ConnectionTest:
    """Test what an import needs, and report problems."""
    with open.reading() as ctx:
        place = connections.stored(ctx, connection)
    test = connections.try_out(place)
    with open.writing() as ctx:
        connections.remember_test(ctx, place, test)
    return test


@router.post("/connections/{connection}/import", status_code=202)
def import_from_connection(open: Separate, connection: str, body: ConnectionImport) -> Dataset:
    """Import files as a dataset or its next version, as a task; it stops if a file changed meanwhile."""
    with open.reading() as ctx:
        place = connections.stored(ctx, connection)
    choice = connections.look(place, body.path)
    with open.writing() as ctx:
        return connections.import_files(ctx, place, body, choice)
