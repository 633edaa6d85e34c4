"""A job: a named line of runs. It keeps its task type, and its base model while one of its runs isn't over."""

from typing import Any

from sqlalchemy import func, select

from tunery.core.clock import now_us
from tunery.core.errors import Problem, Where
from tunery.core.ids import new_id
from tunery.db.tables import job, run
from tunery.jobs.states import RUN_ENDED
from tunery.schemas.run import RunSpec
from tunery.services.context import Context


def check(ctx: Context, spec: RunSpec) -> None:
    """Whether this can be the next run of its name. Raises Problem `job_task_fixed`, `job_base_fixed`."""
    row = ctx.conn.execute(
        select(job).where(job.c.project_id == ctx.project, job.c.name == spec.name)
    ).one_or_none()
    if row is None:
        return
    if row.task != spec.task:
        raise Problem(
            "job_task_fixed", where=Where(field="task"), name=row.name, task=row.task, given=spec.task
        )
    going = ctx.conn.execute(
        select(run.c.number, run.c.base_model)
        .where(run.c.job_id == row.id, run.c.state.not_in(RUN_ENDED), run.c.base_model != spec.base_model)
        .order_by(run.c.number.desc())
        .limit(1)
    ).one_or_none()
    if going is not None:
        raise Problem(
            "job_base_fixed",
            where=Where(field="base_model"),
            run=f"{row.name} #{going.number}",
            base=going.base_model,
        )


def add_run(ctx: Context, spec: RunSpec, **columns: Any) -> str:
    """Queue the next run of a job, made with its first run; `columns` are the rest of what is known of it."""
    job_id, number = _next(ctx, spec)
    id = new_id("run")
    ctx.conn.execute(
        run.insert().values(
            id=id,
            project_id=ctx.project,
            job_id=job_id,
            number=number,
            state="queued",
            created=now_us(),
            **columns,
        )
    )
    return id


def _next(ctx: Context, spec: RunSpec) -> tuple[str, int]:
    """The job that a run belongs to, and the run's number in it."""
    named = (job.c.project_id == ctx.project) & (job.c.name == spec.name)
    id = ctx.conn.scalar(select(job.c.id).where(named))
    if id is None:
        id = new_id("job")
        ctx.conn.execute(
            job.insert().values(
                id=id,
                project_id=ctx.project,
                name=spec.name,
                task=spec.task,
                description=spec.description,
                created=now_us(),
            )
        )
    return id, (ctx.conn.scalar(select(func.max(run.c.number)).where(run.c.job_id == id)) or 0) + 1
