"""What schedules start: whatever is due, once, in one transaction each.

Two servers on one database may both look: the time that is due is taken by the first that writes.
"""

from typing import Any

from sqlalchemy import Connection, Row, select

from tunery.blobs.point import BlobStore
from tunery.core.clock import MICROSECONDS, now_us
from tunery.core.errors import Problem
from tunery.core.settings import ServerSettings
from tunery.db.tables import job, pipeline, pipeline_start, run
from tunery.jobs.states import RUN_ENDED
from tunery.services import pipelines
from tunery.services.context import Context

LATE_US = 120 * MICROSECONDS
"""A start so late counts as missed: the server wasn't running when it was due."""


def due(connection: Connection) -> list[str]:
    """Pipelines whose time has come."""
    return list(
        connection.scalars(
            select(pipeline.c.id).where(pipeline.c.next_start <= now_us()).order_by(pipeline.c.next_start)
        )
    )


def start_due(connection: Connection, settings: ServerSettings, blobs: BlobStore, id: str) -> None:
    """Do what a pipeline's schedule says about the time that is due, and note the next one."""
    row = connection.execute(select(pipeline).where(pipeline.c.id == id)).one_or_none()
    now = now_us()
    if row is None or row.next_start is None or row.next_start > now:
        return  # another server was first, or it was changed meanwhile
    ctx = Context(connection, settings, blobs, row.project_id)
    spec = pipelines.newest_spec(ctx, row)
    pipelines.plan(ctx, id, spec, active=True, after=now)
    try:
        if spec.trigger.missed == "skip" and now - row.next_start > LATE_US:
            raise Problem("start_missed")
        _no_overlap(ctx, row, queue=spec.trigger.overlap == "queue")
    except Problem as problem:
        pipelines.note_start(ctx, row, "skipped", due=row.next_start, reason=problem)
        return
    try:
        with connection.begin_nested():
            pipelines.start(ctx, id, due=row.next_start)
    except Problem as problem:
        pipelines.note_start(ctx, row, "refused", due=row.next_start, reason=problem)


def _no_overlap(ctx: Context, row: Row[Any], *, queue: bool) -> None:
    """Raises Problem `start_overlaps` where an earlier run forbids this one: any, or, in a queue, one that waits."""
    states = ["queued"] if queue else None
    going = run.c.state.in_(states) if states else run.c.state.not_in(RUN_ENDED)
    found = ctx.conn.execute(
        select(job.c.name, run.c.number)
        .join(run, run.c.job_id == job.c.id)
        .join(pipeline_start, pipeline_start.c.run_id == run.c.id)
        .where(pipeline_start.c.pipeline_id == row.id, going)
        .limit(1)
    ).one_or_none()
    if found is not None:
        raise Problem("start_overlaps", run=f"{found.name} #{found.number}")
