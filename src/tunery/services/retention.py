"""What is kept of finished runs: the rules as they are, and trimming by them, once a day or when somebody asks."""

from sqlalchemy import Connection, func, select

from tunery.core.clock import MICROSECONDS, now_us
from tunery.db.tables import project, task
from tunery.jobs.line import enqueue
from tunery.jobs.retention import look
from tunery.jobs.states import TASK_ENDED
from tunery.schemas.retention import Retention
from tunery.schemas.task import Task
from tunery.services.context import Context
from tunery.services.tasks import get_task

_KIND = "trim"
_DAY_US = 24 * 3600 * MICROSECONDS


def show(ctx: Context) -> Retention:
    """The rules, each with what it would remove now. Changes nothing."""
    rules = look(ctx.conn, ctx.settings, ctx.project)
    ended = select(func.max(task.c.ended)).where(
        task.c.project_id == ctx.project, task.c.kind == _KIND, task.c.state == "succeeded"
    )
    return Retention(rules=rules, bytes=sum(rule.bytes for rule in rules), trimmed=ctx.conn.scalar(ended))


def trim(ctx: Context) -> Task:
    """The task that removes what the rules say; one that isn't over is not doubled."""
    waiting = ctx.conn.scalar(
        select(task.c.id).where(
            task.c.project_id == ctx.project, task.c.kind == _KIND, task.c.state.not_in(TASK_ENDED)
        )
    )
    return get_task(ctx, waiting or enqueue(ctx.conn, _KIND, ctx.project, {}))


def due(connection: Connection) -> list[str]:
    """Projects that weren't trimmed for a day."""
    newest = (
        select(task.c.project_id, func.max(task.c.created).label("created"))
        .where(task.c.kind == _KIND)
        .group_by(task.c.project_id)
        .subquery()
    )
    query = select(project.c.id).outerjoin(newest, newest.c.project_id == project.c.id)
    now = now_us()
    # One that is in the future was asked for by a clock that went wrong.
    recent = newest.c.created.between(now - _DAY_US, now)
    return list(connection.scalars(query.where(newest.c.created.is_(None) | ~recent)))


def trim_due(connection: Connection, projects: list[str]) -> None:
    """Queue the trim of those that are still due."""
    still = set(due(connection))
    for id in projects:
        if id in still:
            enqueue(connection, _KIND, id, {})
