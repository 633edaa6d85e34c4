"""Freeing what was deleted: a task collects it."""

from sqlalchemy import select

from tunery.db.tables import task
from tunery.jobs.line import enqueue
from tunery.schemas.task import Task
from tunery.services.context import Context
from tunery.services.tasks import get_task

_KIND = "collect_garbage"


def collect(ctx: Context) -> Task:
    """The task that frees bytes nothing needs any more; one that still waits is not doubled."""
    waiting = ctx.conn.scalar(
        select(task.c.id).where(
            task.c.project_id == ctx.project, task.c.kind == _KIND, task.c.state == "queued"
        )
    )
    return get_task(ctx, waiting or enqueue(ctx.conn, _KIND, ctx.project, {}))
