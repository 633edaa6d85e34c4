"""Connections: places outside the server that datasets are made from."""

from typing import Any

from tunery.schemas.connection import Connection, ConnectionImport, ConnectionRequest, ConnectionTest
from tunery.schemas.dataset import Dataset, ImportOptions
from tunery.schemas.project import ExtensionInfo, Page
from tunery.sdk.call import Call, Resource, S, as_json, endpoint, nothing, segment

_ONE = as_json(Connection)
_PAGE = as_json(Page[Connection])
_TEST = as_json(ConnectionTest)
_DATASET = as_json(Dataset)
_KINDS = as_json(list[ExtensionInfo])


def kinds() -> Call[list[ExtensionInfo]]:
    """Kinds of connection, with the settings of each."""
    return Call("GET", "/api/v1/connection-kinds", _KINDS)


def create(name: str, *, kind: str = "s3", **settings: Any) -> Call[Connection]:
    """Make a connection: `create("lake", endpoint=…, bucket=…, access_key=…, secret_key=…)`."""
    body = ConnectionRequest(name=name, kind=kind, settings=settings).model_dump(mode="json")
    return Call("POST", "/api/v1/connections", _ONE, body=body)


def list_(limit: int = 20, after: str | None = None) -> Call[Page[Connection]]:
    """Connections without their secrets, newest first."""
    return Call("GET", "/api/v1/connections", _PAGE, query={"limit": limit, "after": after})


def get(connection: str) -> Call[Connection]:
    """One connection by name or id."""
    return Call("GET", f"/api/v1/connections/{segment(connection)}", _ONE)


def test(connection: str) -> Call[ConnectionTest]:
    """Try what an import needs; the answer says what is wrong."""
    return Call("POST", f"/api/v1/connections/{segment(connection)}/test", _TEST)


def delete(connection: str) -> Call[None]:
    """Delete a connection and its secrets."""
    return Call("DELETE", f"/api/v1/connections/{segment(connection)}", nothing)


def import_files(
    connection: str, path: str = "", *, name: str, options: ImportOptions | None = None
) -> Call[Dataset]:
    """Make a dataset, or its next version, from files below `path`. `datasets.wait` follows the import."""
    said = (options or ImportOptions()).model_dump(mode="json")
    body = ConnectionImport(name=name, path=path, **said).model_dump(mode="json")
    return Call("POST", f"/api/v1/connections/{segment(connection)}/import", _DATASET, body=body)


class Connections(Resource[S]):
    """Places outside the server that datasets are made from."""

    kinds = endpoint(kinds)
    create = endpoint(create)
    list = endpoint(list_)
    get = endpoint(get)
    test = endpoint(test)
    delete = endpoint(delete)
    import_files = endpoint(import_files)
