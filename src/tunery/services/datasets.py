"""Datasets: import, versions, rows, publishing, deletion."""

from itertools import islice
from typing import Any, BinaryIO

import msgspec
import orjson
from sqlalchemy import Row, select, update

from tunery.core.clock import now_us
from tunery.core.errors import Problem
from tunery.data.store import VersionReader
from tunery.db.tables import dataset, dataset_version, model, model_version, task
from tunery.jobs.states import TASK_ENDED, move_task
from tunery.schemas.check import CheckReport
from tunery.schemas.cleaning import CleaningReport
from tunery.schemas.dataset import Dataset, DatasetVersion, ImportOptions, RowPage
from tunery.schemas.project import Page
from tunery.services import lists
from tunery.services.context import Context
from tunery.services.staging import forget, staged

_LIST = "tunery data list"
_NOT_DELETED = dataset_version.c.state != "deleted"


def list_datasets(ctx: Context, limit: int = 20, after: str | None = None) -> Page[Dataset]:
    """Datasets, newest first."""
    query = select(dataset).where(dataset.c.deleted.is_(None))
    return lists.page(ctx, dataset, query, lambda row: _dataset(ctx, row), limit=limit, after=after)


def get_dataset(ctx: Context, name: str) -> Dataset:
    """By name or id. Raises Problem `not_found`."""
    return _dataset(ctx, _need(ctx, name))


def list_versions(ctx: Context, name: str) -> list[DatasetVersion]:
    """All versions, newest first."""
    row = _need(ctx, name)
    found = ctx.conn.execute(
        select(dataset_version)
        .where(dataset_version.c.dataset_id == row.id)
        .order_by(dataset_version.c.version.desc())
    )
    return [_version(row.name, version) for version in found]


def get_version(ctx: Context, name: str, version: int | None = None) -> DatasetVersion:
    """One version; none = the newest. Raises Problem `not_found`."""
    return _version(name, version_row(ctx, name, version))


def read_rows(ctx: Context, name: str, version: int, offset: int = 0, limit: int = 20) -> RowPage:
    """Some rows of a version in canonical form."""
    found = version_row(ctx, name, version)
    if found.state == "deleted":
        raise _deleted(name, found)
    if found.manifest is None:
        return RowPage(rows=[], offset=offset, total=0)
    reader = VersionReader(ctx.blobs, found.manifest)
    lines = islice(reader.lines(offset), limit)
    return RowPage(rows=[orjson.loads(line) for line in lines], offset=offset, total=found.rows)


def open_quarantine(ctx: Context, name: str, version: int) -> BinaryIO:
    """The bad rows of a version with what is wrong with each, as JSONL."""
    found = version_row(ctx, name, version)
    if found.quarantine is None:
        raise Problem("not_found", noun="quarantine of", name=f"{name}@{version}", list=_LIST)
    return ctx.blobs.open(found.quarantine)


def publish_version(ctx: Context, name: str, version: int) -> DatasetVersion:
    """Make a draft immutable and trainable; harmless when it is already."""
    found = version_row(ctx, name, version)
    if found.state not in ("draft", "published"):
        raise Problem(
            "not_in_state",
            noun="version",
            name=f"{name}@{version}",
            state=found.state,
            verb="publish",
            needed="draft",
        )
    if found.state == "draft":
        ctx.conn.execute(
            update(dataset_version)
            .where(dataset_version.c.id == found.id)
            .values(state="published", published=now_us())
        )
    return get_version(ctx, name, version)


def delete_dataset(ctx: Context, name: str) -> None:
    """Take a dataset off the list and end its imports; a run that has its rows goes on.

    Raises Problem `dataset_in_use` when a model was trained on it.
    """
    found = _need(ctx, name)
    used = ctx.conn.execute(
        select(model.c.name, model_version.c.version, model_version.c.lineage)
        .join(model, model.c.id == model_version.c.model_id)
        .where(model_version.c.project_id == ctx.project)
    )
    for row in used:
        if any(label.rpartition("@")[0] == found.name for label in row.lineage["datasets"]):
            raise Problem("dataset_in_use", dataset=found.name, model=f"{row.name}:{row.version}")
    _end_imports(ctx, found.id)
    ctx.conn.execute(update(dataset).where(dataset.c.id == found.id).values(deleted=now_us()))


def _end_imports(ctx: Context, id: str) -> None:
    importing = (dataset_version.c.dataset_id == id) & (dataset_version.c.state == "importing")
    found = ctx.conn.execute(select(dataset_version.c.id, dataset_version.c.task_id).where(importing)).all()
    for _, import_task in found:
        move_task(ctx.conn, import_task, "cancelled")
    ctx.conn.execute(update(dataset_version).where(importing).values(state="failed"))
    of_dataset = dataset_version.c.dataset_id == id
    for version in ctx.conn.scalars(select(dataset_version.c.id).where(of_dataset)):
        forget(staged(ctx.folder, version))
    ctx.conn.execute(update(dataset_version).where(of_dataset).values(kept_until=None))


def version_row(ctx: Context, name: str, version: int | None = None, *, published: bool = False) -> Row[Any]:
    """The table's row of a version; none = the newest (published) one. Raises Problem `not_found` …"""
    found = _need(ctx, name)
    query = select(dataset_version).where(dataset_version.c.dataset_id == found.id)
    if version is not None:
        query = query.where(dataset_version.c.version == version)
    else:
        query = query.where(dataset_version.c.state == "published" if published else _NOT_DELETED)
    row = ctx.conn.execute(query.order_by(dataset_version.c.version.desc()).limit(1)).one_or_none()
    if row is None and published and version is None:
        row = ctx.conn.execute(
            select(dataset_version)
            .where(dataset_version.c.dataset_id == found.id, _NOT_DELETED)
            .order_by(dataset_version.c.version.desc())
            .limit(1)
        ).one_or_none()
    if row is None:
        raise Problem("not_found", noun="version of", name=f"{name}@{version}", list=_LIST)
    if published and row.state == "deleted":
        raise _deleted(found.name, row)
    if published and row.state == "draft":
        raise Problem("version_not_published", version=row.version, dataset=found.name)
    if published and row.state != "published":
        raise _without_rows(found.name, row)
    return row


def version_with_rows(ctx: Context, name: str, version: int | None = None) -> Row[Any]:
    """As `version_row`. Raises Problem `version_deleted` or `version_has_no_rows` where there are none to read."""
    row = version_row(ctx, name, version)
    if row.state == "deleted":
        raise _deleted(name, row)
    if row.manifest is None:
        raise _without_rows(name, row)
    return row


def _deleted(name: str, row: Row[Any]) -> Problem:
    return Problem("version_deleted", version=row.version, dataset=name, hash=row.content_hash)


def _without_rows(name: str, row: Row[Any]) -> Problem:
    return Problem("version_has_no_rows", version=row.version, dataset=name, state=row.state)


def find_dataset(ctx: Context, name: str) -> Row[Any] | None:
    """The table's row of a dataset, by name or id."""
    return ctx.conn.execute(
        select(dataset).where(
            dataset.c.project_id == ctx.project,
            dataset.c.deleted.is_(None),
            (dataset.c.name == name) | (dataset.c.id == name),
        )
    ).one_or_none()


def _need(ctx: Context, name: str) -> Row[Any]:
    found = find_dataset(ctx, name)
    if found is None:
        raise Problem("not_found", noun="dataset", name=name, list=_LIST)
    return found


def _dataset(ctx: Context, row: Row[Any]) -> Dataset:
    latest = ctx.conn.execute(
        select(dataset_version)
        .where(dataset_version.c.dataset_id == row.id, _NOT_DELETED)
        .order_by(dataset_version.c.version.desc())
        .limit(1)
    ).one_or_none()
    running = None
    if latest is not None and latest.task_id is not None:
        running = ctx.conn.scalar(
            select(task.c.id).where(task.c.id == latest.task_id, task.c.state.not_in(TASK_ENDED))
        )
    return Dataset(
        id=row.id,
        name=row.name,
        format=row.format,
        created=row.created,
        latest=None if latest is None else _version(row.name, latest),
        task=running,
    )


def _version(name: str, row: Row[Any]) -> DatasetVersion:
    return DatasetVersion(
        dataset=name,
        version=row.version,
        state=row.state,
        content_hash=row.content_hash,
        rows=row.rows,
        characters=row.characters,
        bytes=row.bytes,
        format=row.format,
        row_kind=row.row_kind,
        report=None if row.report is None else msgspec.convert(row.report, CheckReport),
        error=row.error,
        options=None if row.options is None else ImportOptions.model_validate(row.options),
        filename=row.filename,
        kept_until=row.kept_until,
        source=row.source,
        cleaning=None if row.cleaning is None else CleaningReport.model_validate(row.cleaning),
        created=row.created,
        published=row.published,
    )
