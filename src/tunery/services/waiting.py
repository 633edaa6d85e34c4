"""Why a run waits: others come first, its project has its share, or nobody is there to work."""

from typing import Any

from sqlalchemy import ColumnElement, Row, and_, func, or_, select

from tunery.db.tables import job, run, task
from tunery.jobs.giving_way import named
from tunery.jobs.slots import engine_slots
from tunery.schemas.run import Waiting
from tunery.services.context import Context

_NAMED = 10
_ENGINES = ("engine", "idle")
_AT_WORK = and_(task.c.state == "running", task.c.lane.in_(_ENGINES))


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
    slots = engine_slots(ctx.conn, ctx.settings.lease_seconds)
    if not slots:
        return Waiting(
            code="no_worker",
            message="No worker is running. The server restarts it automatically; if not, see the server's log.",
        )
    in_the_way = own.lane in _ENGINES and (
        _project_limit(ctx) or _slot_coming(ctx, own) or _others_first(ctx, own, slots)
    )
    if in_the_way:
        return in_the_way
    return Waiting(code="worker_takes_it", message="Waiting for a worker.")


def _project_limit(ctx: Context) -> Waiting | None:
    limit = ctx.settings.project_slots
    if not limit:
        return None
    count, ahead = _named(ctx, and_(_AT_WORK, task.c.project_id == ctx.project))
    if count < limit:
        return None
    return Waiting(
        code="project_limit",
        message=f"This project may have {limit} {'run' if limit == 1 else 'runs'} at work at once, and has: "
        f"{', '.join(ahead)}.",
        ahead=ahead,
        ahead_count=count,
        limit=limit,
    )


def _slot_coming(ctx: Context, own: Row[Any]) -> Waiting | None:
    count, ahead = _named(ctx, and_(_AT_WORK, task.c.gives_way_to == own.id))
    if not count:
        return None
    says = f"{ahead[0]} saves and gives way."
    return Waiting(code="slot_coming", message=says, ahead=ahead, ahead_count=count)


def _others_first(ctx: Context, own: Row[Any], slots: int) -> Waiting | None:
    """Whose engines work or begin earlier. Any run that waits comes before an idle-time run."""
    earlier = and_(task.c.lane == own.lane, task.c.place < own.place)
    if own.lane == "idle":
        earlier = or_(task.c.lane == "engine", earlier)
    count, ahead = _named(
        ctx, and_(or_(_AT_WORK, and_(task.c.state == "queued", earlier)), task.c.run_id != own.run_id)
    )
    if count < slots:
        return None
    more = f", and {count - 1:,} more" if count > 1 else ""
    code, says = "runs_ahead", f"Waiting for its turn: {ahead[0]} is ahead{more}."
    if (own.reason or {}).get("code") == "gave_way":
        other = named(ctx.conn, own.reason["to"], own.project_id)
        code, says = (
            "gave_way",
            f"Gave way to {other}; it continues automatically when nothing else is waiting.",
        )
    elif own.lane == "idle":
        code, says = "idle_time", f"Waiting for idle time: {ahead[0]} comes first{more}."
    return Waiting(code=code, message=says, ahead=ahead, ahead_count=count)


def _named(ctx: Context, which: ColumnElement[bool]) -> tuple[int, list[str]]:
    """How many runs' tasks those are, and the first of them; those of other projects without a name."""
    count = ctx.conn.scalar(select(func.count()).select_from(task).where(which)) or 0
    first = ctx.conn.execute(
        select(run.c.project_id, run.c.number, job.c.name)
        .join(run, run.c.id == task.c.run_id)
        .join(job, job.c.id == run.c.job_id)
        .where(which)
        .order_by(task.c.state.desc(), task.c.lane, task.c.place)
        .limit(_NAMED)
    )
    names = [
        f"{row.name} #{row.number}" if row.project_id == ctx.project else "a run of another project"
        for row in first
    ]
    return count, names or ["another task"] * bool(count)
