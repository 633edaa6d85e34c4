"""Tasks: what is long and under way."""

from typing import Any

from sqlalchemy import Row, select

from tunery.core.errors import Problem
from tunery.db.tables import task
from tunery.schemas.task import Task
from tunery.services.context import Context


def get_task(ctx: Context, id: str) -> Task:
    """One task. Raises Problem `not_found`."""
    row = ctx.conn.execute(
        select(task).where(task.c.id == id, task.c.project_id == ctx.project)
    ).one_or_none()
    if row is None:
        raise Problem("not_found", noun="task", name=id, list="tunery runs list")
    return from_row(row)


def from_row(row: Row[Any]) -> Task:
    return Task(
        id=row.id,
        kind=row.kind,
        state=row.state,
        reason=row.reason,
        progress=row.progress,
        result=row.result,
        run=row.run_id,
        attempts=row.attempts,
        created=row.created,
        started=row.started,
        ended=row.ended,
    )
