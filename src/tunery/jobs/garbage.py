"""Which blobs something still needs, and the removal of the others.

Whatever in the database looks like a blob's name keeps that blob, in any table and any column: a table added later
needs no word here. Versions keep what their manifests name. Only what ended or was deleted keeps nothing.

A blob that is just being put has no name in the database yet. Putting or renewing it gives it an hour's grace, and
nothing is removed but inside a write transaction that has looked at all names once more.
"""

import re
from collections.abc import Iterator
from typing import Any

import msgspec
from sqlalchemy import JSON, Column, Connection, Select, String, Table, select

from tunery.blobs.point import BlobStore
from tunery.data.store import VersionReader
from tunery.db.tables import METADATA, analysis, dataset, dataset_version, run, task
from tunery.jobs.states import RUN_ENDED, TASK_ENDED

GRACE_SECONDS = 3600.0
_BATCH = 200
_NAME = re.compile(r"[0-9a-f]{64}\Z")
_MANIFEST_START = b'{"v":'
_NOT_LOOKED_AT = frozenset({"event", "metric_chunk", "idempotency"})
"""What was told or answered long ago needs no blob."""


class Needed:
    """Finds the blobs that are needed. Manifests are read once."""

    def __init__(self, blobs: BlobStore) -> None:
        self._blobs = blobs
        self._inside: dict[str, frozenset[str]] = {}

    def now(self, connection: Connection) -> set[str]:
        """Every blob that is needed, as the database stands in this transaction."""
        found: set[str] = set()
        for name in _names(connection):
            if name not in self._inside:
                self._inside[name] = self._named_by(name)
            found.add(name)
            found |= self._inside[name]
        return found

    def _named_by(self, name: str) -> frozenset[str]:
        """What a manifest names; nothing if this isn't one."""
        try:
            with self._blobs.open(name) as file:
                if file.read(len(_MANIFEST_START)) != _MANIFEST_START:
                    return frozenset()
            version = VersionReader(self._blobs, name)
        except (FileNotFoundError, msgspec.DecodeError):
            return frozenset()
        shards = version.manifest.shards
        lists = [version.manifest.images] if version.manifest.images else []
        return frozenset([*lists, *version.images(), *(s.digest for s in shards), *(s.index for s in shards)])


def drop_stale_analyses(connection: Connection) -> int:
    """Forget what was found out about rows that no version has any more."""
    alive = _alive(select(dataset_version.c.content_hash).where(dataset_version.c.content_hash.is_not(None)))
    waiting = select(task.c.id).where(task.c.state.not_in(TASK_ENDED))
    gone = analysis.delete().where(analysis.c.content_hash.not_in(alive), analysis.c.task_id.not_in(waiting))
    return connection.execute(gone).rowcount


def candidates(blobs: BlobStore, needed: set[str]) -> Iterator[list[str]]:
    """Blobs that weren't needed a moment ago, some at a time."""
    batch: list[str] = []
    for digest in blobs.stored():
        if digest not in needed:
            batch.append(digest)
            if len(batch) == _BATCH:
                yield batch
                batch = []
    if batch:
        yield batch


def remove(connection: Connection, blobs: BlobStore, needed: Needed, batch: list[str]) -> tuple[int, int]:
    """Remove those that still aren't needed; returns how many, and their bytes. In a write transaction."""
    still = needed.now(connection)
    freed = [blobs.collect(digest, GRACE_SECONDS) for digest in batch if digest not in still]
    sizes = [size for size in freed if size is not None]
    return len(sizes), sum(sizes)


def _names(connection: Connection) -> Iterator[str]:
    """Everything in the database that looks like the name of a blob."""
    for table in METADATA.sorted_tables:
        columns = [column for column in table.columns if _may_name(column)]
        if table.name in _NOT_LOOKED_AT or not columns:
            continue
        for row in connection.execute(_living(table, select(*columns))):
            for value in row:
                yield from _strings(value)


def _may_name(column: Column[Any]) -> bool:
    kind = column.type
    return isinstance(kind, JSON) or (isinstance(kind, String) and kind.length == 64)


def _living(table: Table, query: Select[Any]) -> Select[Any]:
    """Without the rows of a table that have ended or were deleted."""
    if table is dataset_version:
        return _alive(query)
    if table is run:
        # A stage that follows a run is a task, and needs the run's inputs.
        followed = select(task.c.run_id).where(task.c.state.not_in(TASK_ENDED), task.c.run_id.is_not(None))
        return query.where(run.c.state.not_in(RUN_ENDED) | run.c.id.in_(followed))
    if table is task:
        return query.where(task.c.state.not_in(TASK_ENDED))
    return query


def _alive(query: Select[Any]) -> Select[Any]:
    """Only versions of datasets that weren't deleted, and that weren't themselves."""
    return query.where(
        dataset_version.c.state != "deleted",
        dataset_version.c.dataset_id.in_(select(dataset.c.id).where(dataset.c.deleted.is_(None))),
    )


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        if _NAME.match(value):
            yield value
    elif isinstance(value, dict):
        for item in value.values():
            yield from _strings(item)
    elif isinstance(value, list):
        for item in value:
            yield from _strings(item)
