"""Datasets: import, versions, rows, publishing, deletion."""

import shutil
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO

import orjson
from sqlalchemy import Connection, Row, event, func, select, update

from tunery.core.clock import now_us
from tunery.core.errors import Problem
from tunery.core.folder import DataFolder
from tunery.core.ids import new_id
from tunery.data.formats.point import FORMATS
from tunery.data.store import VersionReader
from tunery.db.tables import dataset, dataset_version, model, model_version, task
from tunery.jobs.queue import enqueue
from tunery.jobs.states import TASK_ENDED, move_task
from tunery.schemas.dataset import CheckReport, Dataset, DatasetVersion, RowPage
from tunery.schemas.project import Page
from tunery.services import lists
from tunery.services.context import Context

_LIST = "tunery data list"


def import_file(
    ctx: Context,
    *,
    name: str,
    source: Path,
    filename: str,
    format: str | None,
    accept_bad_rows: bool,
    publish: bool,
) -> Dataset:
    """Queue the import of a staged upload as the next version of dataset `name`; takes the file over.

    Raises Problem `unknown_extension` for a format there isn't.
    """
    if format is not None:
        FORMATS.load(format)
    existing = _find(ctx, name)
    id = existing.id if existing else new_id("ds")
    if existing is None:
        ctx.conn.execute(
            dataset.insert().values(
                id=id, project_id=ctx.project, name=name, format=format or "unknown", created=now_us()
            )
        )
    number = (
        ctx.conn.scalar(select(func.max(dataset_version.c.version)).where(dataset_version.c.dataset_id == id))
        or 0
    ) + 1
    version_id = new_id("dsv")
    staged = _staged(ctx, version_id)
    staged.parent.mkdir(parents=True, exist_ok=True)
    shutil.move(source, staged)
    event.listen(ctx.conn, "rollback", lambda _: staged.unlink(missing_ok=True))
    task_id = enqueue(
        ctx.conn,
        "import_dataset",
        ctx.project,
        {
            "version": version_id,
            "path": str(staged),
            "filename": filename,
            "format": format,
            "accept_bad_rows": accept_bad_rows,
            "publish": publish,
        },
    )
    ctx.conn.execute(
        dataset_version.insert().values(
            id=version_id,
            project_id=ctx.project,
            dataset_id=id,
            version=number,
            state="importing",
            format=format or "unknown",
            task_id=task_id,
            created=now_us(),
        )
    )
    return get_dataset(ctx, id)


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
            noun="Version",
            name=f"{name}@{version}",
            state=found.state,
            verb="publishing",
            needed="a draft",
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
    for version, import_task in found:
        move_task(ctx.conn, import_task, "cancelled")
        _staged(ctx, version).unlink(missing_ok=True)
    ctx.conn.execute(update(dataset_version).where(importing).values(state="failed"))


def _staged(ctx: Context, version: str) -> Path:
    """Where an upload waits to become this version."""
    return DataFolder(ctx.folder).uploads / version


def sweep_uploads(connection: Connection, folder: Path) -> None:
    """Remove staged files that no import waits for: what a killed process or an ended import left."""
    waiting = set(
        connection.scalars(select(dataset_version.c.id).where(dataset_version.c.state == "importing"))
    )
    for path in [*folder.glob("dsv_*"), *folder.glob("sample_*")]:
        if path.name.partition(".")[0] in waiting:
            continue
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


def version_row(ctx: Context, name: str, version: int | None = None, *, published: bool = False) -> Row[Any]:
    """The table's row of a version; none = the newest (published) one. Raises Problem `not_found`."""
    found = _need(ctx, name)
    query = select(dataset_version).where(dataset_version.c.dataset_id == found.id)
    if version is not None:
        query = query.where(dataset_version.c.version == version)
    elif published:
        query = query.where(dataset_version.c.state == "published")
    row = ctx.conn.execute(query.order_by(dataset_version.c.version.desc()).limit(1)).one_or_none()
    if row is None and published and version is None:
        row = ctx.conn.execute(
            select(dataset_version)
            .where(dataset_version.c.dataset_id == found.id)
            .order_by(dataset_version.c.version.desc())
            .limit(1)
        ).one_or_none()
    if row is None:
        raise Problem("not_found", noun="version of", name=f"{name}@{version}", list=_LIST)
    if published and row.state != "published":
        raise Problem("version_not_published", version=row.version, dataset=found.name)
    return row


def _find(ctx: Context, name: str) -> Row[Any] | None:
    return ctx.conn.execute(
        select(dataset).where(
            dataset.c.project_id == ctx.project,
            dataset.c.deleted.is_(None),
            (dataset.c.name == name) | (dataset.c.id == name),
        )
    ).one_or_none()


def _need(ctx: Context, name: str) -> Row[Any]:
    found = _find(ctx, name)
    if found is None:
        raise Problem("not_found", noun="dataset", name=name, list=_LIST)
    return found


def _dataset(ctx: Context, row: Row[Any]) -> Dataset:
    latest = ctx.conn.execute(
        select(dataset_version)
        .where(dataset_version.c.dataset_id == row.id)
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
        report=None if row.report is None else CheckReport.model_validate(row.report),
        error=row.error,
        created=row.created,
        published=row.published,
    )
