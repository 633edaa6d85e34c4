"""Connections: make, try, import from, delete.

What talks to the other side (`try_out`, `look`) takes a `Stored` and no transaction: nobody waits for the database
while someone else's service is slow.
"""

import hashlib
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any

import orjson
from sqlalchemy import Row, select, update

from tunery.connections.choice import Choice, choose
from tunery.connections.dial import dial, prepare, secret_fields, vault_of
from tunery.connections.kinds.point import KINDS, Source
from tunery.core.clock import now_us
from tunery.core.errors import Problem
from tunery.core.ids import new_id
from tunery.core.settings import ServerSettings
from tunery.db.tables import connection, dataset_version
from tunery.jobs.line import enqueue
from tunery.schemas.connection import Connection, ConnectionImport, ConnectionRequest, ConnectionTest
from tunery.schemas.dataset import Dataset, ImportOptions
from tunery.schemas.project import ExtensionInfo, Page, ProblemDocument
from tunery.services import lists
from tunery.services.context import Context
from tunery.services.datasets import get_dataset
from tunery.services.imports import new_version

_LIST = "tunery connections list"
_SHOWN = 20


@dataclass(frozen=True)
class Prepared:
    """A request for a connection, checked."""

    name: str
    kind: str
    settings: dict[str, Any]
    secrets: dict[str, str]


@dataclass(frozen=True)
class Stored:
    """A connection as the database has it, with what is needed to open it."""

    server: ServerSettings
    id: str
    name: str
    kind: str
    settings: dict[str, Any]
    sealed: str

    @contextmanager
    def opened(self) -> Iterator[Source]:
        """Raises Problem `secret_key_lost`."""
        with dial(self.server, self.id, self.name, self.kind, self.settings, self.sealed) as source:
            yield source


def kinds() -> list[ExtensionInfo]:
    """Kinds of connection, with the settings of each, by title."""
    found = [
        ExtensionInfo(
            name=name,
            title=kind.TITLE,
            help=kind.HELP,
            json_schema=kind.Settings.model_json_schema(),
        )
        for name, kind in KINDS.all()
    ]
    return sorted(found, key=lambda info: info.title)


def path_help(kind: str) -> str:
    """What a path is in connections of a kind."""
    return KINDS.load(kind).PATH_HELP


def prepared(server: ServerSettings, request: ConnectionRequest) -> Prepared:
    """Check a request; names are looked up, nothing is sent.

    Raises Problem `unknown_extension`, `invalid_request`, `address_invalid`, `address_private`, `address_forbidden`.
    """
    shown, secrets = prepare(server, request.kind, request.settings)
    return Prepared(request.name, request.kind, shown, secrets)


def create_connection(ctx: Context, made: Prepared) -> Connection:
    """Store a connection, its secrets sealed. Raises Problem `name_taken`."""
    if _find(ctx, made.name) is not None:
        raise Problem("name_taken", noun="connection", name=made.name)
    id = new_id("conn")
    sealed = vault_of(ctx.settings).seal(orjson.dumps(made.secrets).decode(), id)
    ctx.conn.execute(
        connection.insert().values(
            id=id,
            project_id=ctx.project,
            name=made.name,
            kind=made.kind,
            settings=made.settings,
            sealed=sealed,
            created=now_us(),
        )
    )
    return get_connection(ctx, id)


def list_connections(ctx: Context, limit: int = 20, after: str | None = None) -> Page[Connection]:
    """Connections, newest first."""
    return lists.page(ctx, connection, select(connection), _shown, limit=limit, after=after)


def get_connection(ctx: Context, name: str) -> Connection:
    """By name or id. Raises Problem `not_found`."""
    return _shown(_need(ctx, name))


def delete_connection(ctx: Context, name: str) -> None:
    """Forget a connection with its secrets. Datasets made from it stay; an import under way fails."""
    ctx.conn.execute(connection.delete().where(connection.c.id == _need(ctx, name).id))


def stored(ctx: Context, name: str) -> Stored:
    """What is needed to open a connection. Raises Problem `not_found`."""
    row = _need(ctx, name)
    return Stored(ctx.settings, row.id, row.name, row.kind, row.settings, row.sealed)


def try_out(place: Stored) -> ConnectionTest:
    """Do what an import would need to do there, and say what came of it."""
    started = time.monotonic()
    found = problem = None
    try:
        with place.opened() as source:
            found = source.check()
    except Problem as wrong:
        problem = ProblemDocument.model_validate(wrong.as_dict())
    seconds = round(time.monotonic() - started, 3)
    return ConnectionTest(ok=problem is None, found=found, problem=problem, at=now_us(), seconds=seconds)


def remember_test(ctx: Context, place: Stored, test: ConnectionTest) -> None:
    """Keep the newest test with its connection."""
    change = update(connection).where(connection.c.id == place.id)
    ctx.conn.execute(change.values(test=test.model_dump(mode="json")))


def look(place: Stored, path: str) -> Choice:
    """The files that an import of `path` reads, as they are now.

    Raises Problem `source_empty`, `source_too_many`, `too_large`, and what is wrong with the connection.
    """
    with place.opened() as source:
        choice = choose(source, path)
    if choice.bytes > place.server.max_upload_bytes:
        raise Problem("too_large", limit=place.server.max_upload_bytes)
    return choice


def import_files(ctx: Context, place: Stored, request: ConnectionImport, choice: Choice) -> Dataset:
    """Queue the import of chosen files as the next version of a dataset.

    What they are now is written down: the import stops when one has changed by the time it is read.
    Raises Problem `unknown_extension`, `not_found`.
    """
    _need(ctx, place.id)
    options = ImportOptions.model_validate(request.model_dump(exclude={"name", "path"}))
    filename = _called(place, request.path, choice)
    id, version = new_version(ctx, request.name, options, filename)
    files = [asdict(file) for file in choice.files]
    payload = {
        "version": version,
        "connection": place.id,
        "filename": filename,
        "files": files,
        "options": options.model_dump(mode="json"),
        "accept_bad_rows": options.accept_bad_rows,
        "publish": options.publish,
    }
    task = enqueue(ctx.conn, "import_remote", ctx.project, payload)
    source = {
        "connection": place.name,
        "kind": place.kind,
        "path": request.path,
        "files": len(files),
        "bytes": choice.bytes,
        "fingerprint": hashlib.sha256(orjson.dumps(files)).hexdigest(),
        "passed_over": choice.passed_over[:_SHOWN],
        "passed_over_count": len(choice.passed_over),
    }
    ctx.conn.execute(
        update(dataset_version).where(dataset_version.c.id == version).values(task_id=task, source=source)
    )
    return get_dataset(ctx, id)


def _called(place: Stored, path: str, choice: Choice) -> str:
    """What reports call the files together; its ending says when all are plain text."""
    folder = path.strip("/")
    if [file.key for file in choice.files] == [folder]:
        return f"{place.name}:{folder}"
    text = all(file.key.lower().endswith(".txt") for file in choice.files)
    return f"{place.name}:{folder}/*{'.txt' if text else ''}"


def _find(ctx: Context, name: str) -> Row[Any] | None:
    return ctx.conn.execute(
        select(connection).where(
            connection.c.project_id == ctx.project, (connection.c.name == name) | (connection.c.id == name)
        )
    ).one_or_none()


def _need(ctx: Context, name: str) -> Row[Any]:
    found = _find(ctx, name)
    if found is None:
        raise Problem("not_found", noun="connection", name=name, list=_LIST)
    return found


def _shown(row: Row[Any]) -> Connection:
    known = row.kind in KINDS.names()
    return Connection(
        id=row.id,
        name=row.name,
        kind=row.kind,
        settings=row.settings,
        secrets=secret_fields(KINDS.load(row.kind).Settings) if known else [],
        test=None if row.test is None else ConnectionTest.model_validate(row.test),
        created=row.created,
    )
