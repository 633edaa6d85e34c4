"""Files that come in parts: begin one, find it again, give it up, make a dataset of it when it is whole."""

import shutil
from typing import Any

from sqlalchemy import Row, event, select, update

from tunery.core.clock import now_us
from tunery.core.errors import Problem, Where
from tunery.core.ids import new_id
from tunery.db.tables import upload
from tunery.schemas.dataset import Dataset, ImportRequest, Upload
from tunery.schemas.project import Page
from tunery.services import imports, lists
from tunery.services.context import Context
from tunery.services.staging import forget, staged, sweep_uploads
from tunery.services.upload_writers import Target, Writer, Writers

_HOUR = 3_600_000_000
_LIST = "GET /api/v1/uploads"


def create_upload(
    ctx: Context, *, filename: str, bytes: int, fingerprint: str | None = None, sha256: str | None = None
) -> Upload:
    """Announce a file. Raises Problem `too_large`, `no_room`, `invalid_request`."""
    if bytes > ctx.settings.max_upload_bytes:
        raise Problem("too_large", limit=ctx.settings.max_upload_bytes)
    if sha256 is not None and (len(sha256) != 64 or not set(sha256) <= set("0123456789abcdef")):
        detail = "sha256: give it as 64 hexadecimal digits, lower case."
        raise Problem("invalid_request", where=Where(field="sha256"), detail=detail)
    id = new_id("upl")
    path = staged(ctx.folder, id)
    sweep_uploads(ctx.conn, path.parent)
    free = shutil.disk_usage(path.parent).free
    if bytes > free:
        raise Problem("no_room", bytes=bytes, free=free, path=str(path.parent))
    path.touch(0o600)
    event.listen(ctx.conn, "rollback", lambda _: forget(path))
    ctx.conn.execute(
        upload.insert().values(
            id=id,
            project_id=ctx.project,
            filename=filename,
            fingerprint=fingerprint,
            bytes=bytes,
            sha256=sha256,
            expires=_expiry(ctx),
            created=now_us(),
        )
    )
    return _upload(_row(ctx, id), 0)


def list_uploads(
    ctx: Context, writers: Writers, *, fingerprint: str | None, limit: int = 20, after: str | None = None
) -> Page[Upload]:
    """Uploads that were neither imported nor given up, newest first; perhaps only those of one file."""
    query = select(upload).where(upload.c.expires > now_us())
    if fingerprint is not None:
        query = query.where(upload.c.fingerprint == fingerprint)
    return lists.page(
        ctx,
        upload,
        query,
        lambda row: _upload(row, writers.offset(_target(ctx, row))),
        limit=limit,
        after=after,
    )


def get_upload(ctx: Context, writers: Writers, id: str) -> Upload:
    """One upload, with how much of it is there. Raises Problem `not_found`, `upload_expired`."""
    row = _row(ctx, id)
    return _upload(row, writers.offset(_target(ctx, row)))


def begin_writing(ctx: Context, writers: Writers, id: str, offset: int) -> Writer:
    """Take an upload up at `offset`. Raises Problem `upload_busy`, `upload_conflict`, `upload_disk_full`."""
    row = _row(ctx, id)
    ctx.conn.execute(update(upload).where(upload.c.id == id).values(expires=_expiry(ctx)))
    return writers.begin(_target(ctx, row), offset)


def delete_upload(ctx: Context, writers: Writers, id: str) -> None:
    """Give an upload up. Raises Problem `upload_busy` while it is written."""
    row = _row(ctx, id)
    writers.release(_target(ctx, row))
    ctx.conn.execute(upload.delete().where(upload.c.id == id))
    forget(staged(ctx.folder, id))


def import_upload(ctx: Context, writers: Writers, id: str, request: ImportRequest) -> Dataset:
    """Make a version of a dataset of a whole upload. Raises Problem `upload_unfinished`, `upload_busy`."""
    row = whole_upload(ctx, writers, id)
    made = imports.import_file(
        ctx,
        name=request.name,
        source=staged(ctx.folder, id),
        filename=row.filename,
        options=imports.like_before(ctx, request),
        sha256=row.sha256,
    )
    ctx.conn.execute(upload.delete().where(upload.c.id == id))
    return made


def whole_upload(ctx: Context, writers: Writers, id: str) -> Row[Any]:
    """The table's row of an upload that nobody writes to any more. Raises Problem `upload_unfinished`."""
    row = _row(ctx, id)
    target = _target(ctx, row)
    writers.release(target)
    offset = writers.offset(target)
    if offset < row.bytes:
        raise Problem("upload_unfinished", name=id, offset=offset, bytes=row.bytes)
    return row


def _expiry(ctx: Context) -> int:
    return now_us() + int(ctx.settings.upload_keep_hours * _HOUR)


def _row(ctx: Context, id: str) -> Row[Any]:
    row = ctx.conn.execute(
        select(upload).where(upload.c.id == id, upload.c.project_id == ctx.project)
    ).one_or_none()
    if row is None:
        raise Problem("not_found", noun="upload", name=id, list=_LIST)
    if row.expires <= now_us():
        raise Problem("upload_expired", name=id)
    return row


def _target(ctx: Context, row: Row[Any]) -> Target:
    return Target(row.id, staged(ctx.folder, row.id), row.bytes)


def _upload(row: Row[Any], offset: int) -> Upload:
    return Upload(
        id=row.id,
        filename=row.filename,
        fingerprint=row.fingerprint,
        bytes=row.bytes,
        offset=offset,
        sha256=row.sha256,
        created=row.created,
        expires=row.expires,
    )
