"""Why a run waits: what is ahead of it in the queue, or that nobody is there to work."""

from typing import Any

from sqlalchemy import Row, and_, func, or_, select

from tunery.core.clock import MICROSECONDS, now_us
from tunery.db.tables import job, run, task, worker
from tunery.jobs.handlers.point import HANDLERS
from tunery.schemas.run import Waiting
from tunery.services.context import Context

_NAMED = 10


def waiting_of(ctx: Context, run_id: str) -> Waiting | None:
    """Why the run's next task isn't begun; none when no task of the run waits."""
    own = ctx.conn.execute(
        select(task)
        .where(task.c.run_id == run_id, task.c.state == "queued")
        .order_by(task.c.created)
        .limit(1)
    ).one_or_none()
    if own is None:
        return None
    if not _worker_alive(ctx):
        return Waiting(
            code="no_worker",
            message="No worker is running. The server restarts it automatically; if not, see the server's log.",
        )
    count, ahead = _ahead(ctx, own)
    if count == 0:
        return Waiting(code="worker_takes_it", message="Waiting for a worker.")
    more = f", and {count - 1:,} more" if count > 1 else ""
    return Waiting(
        code="runs_ahead",
        message=f"Waiting for its turn: {ahead[0]} is ahead{more}.",
        ahead=ahead,
        ahead_count=count,
    )


def _worker_alive(ctx: Context) -> bool:
    patience = int(ctx.settings.lease_seconds * MICROSECONDS)
    return (
        ctx.conn.scalar(select(worker.c.id).where(worker.c.seen >= now_us() - patience).limit(1)) is not None
    )


def _ahead(ctx: Context, own: Row[Any]) -> tuple[int, list[str]]:
    """How many runs' engines work or come earlier, and the first of them; those of other projects without a name."""
    kinds = [kind for kind, handler in HANDLERS.all() if handler.USES_ENGINE]
    earlier = or_(
        task.c.priority > own.priority,
        and_(task.c.priority == own.priority, task.c.created < own.created),
    )
    before = and_(
        task.c.kind.in_(kinds),
        or_(task.c.state == "running", and_(task.c.state == "queued", earlier)),
        task.c.run_id != own.run_id,
    )
    count = ctx.conn.scalar(select(func.count()).select_from(task).where(before)) or 0
    first = ctx.conn.execute(
        select(run.c.project_id, run.c.number, job.c.name)
        .join(run, run.c.id == task.c.run_id)
        .join(job, job.c.id == run.c.job_id)
        .where(before)
        .order_by(task.c.state.desc(), task.c.priority.desc(), task.c.created)
        .limit(_NAMED)
    )
    names = [
        f"{row.name} #{row.number}" if row.project_id == ctx.project else "a run of another project"
        for row in first
    ]
    return count, names
