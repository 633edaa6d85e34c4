"""Pipelines: keep a definition, change it by a new version, start it by hand.

What its schedule starts is `starts`' matter.
"""

from typing import Any

from sqlalchemy import Row, delete, func, select, update

from tunery.core.clock import now_us
from tunery.core.errors import Problem
from tunery.core.ids import new_id
from tunery.db.tables import job, pipeline, pipeline_start, pipeline_version, run
from tunery.schemas.pipeline import (
    Pipeline,
    PipelineCheck,
    PipelineStart,
    PipelineVersion,
    SavePipeline,
    Schedule,
)
from tunery.schemas.project import Page
from tunery.schemas.run import ResolvedSpec, RunDetail, RunSpec, TriggerSpec
from tunery.services import lists, runs
from tunery.services.context import Context
from tunery.services.resolve import default_name
from tunery.services.timetable import Timetable

_LIST = "tunery pipelines list"


def save(ctx: Context, body: SavePipeline) -> Pipeline:
    """Keep a new definition. Raises Problem `name_taken`, and what submitting it as a run would."""
    base = check(ctx, body.spec).spec.base_model
    name = body.name or default_name(base) + ("_template" if body.template else "")
    if _find(ctx, name) is not None:
        raise Problem("name_taken", noun="pipeline", name=name)
    id, now = new_id("pipe"), now_us()
    ctx.conn.execute(
        pipeline.insert().values(
            id=id,
            project_id=ctx.project,
            name=name,
            template=body.template,
            version=0,
            active=True,
            changed=now,
            created=now,
        )
    )
    _add_version(ctx, id, body.spec)
    return get_pipeline(ctx, id)


def change(ctx: Context, name: str, spec: RunSpec) -> Pipeline:
    """Make a spec the pipeline's newest version; the same spec makes none. Raises as `save`."""
    row = need(ctx, name)
    if spec != newest_spec(ctx, row):
        check(ctx, spec)
        _add_version(ctx, row.id, spec)
    return get_pipeline(ctx, row.id)


def get_pipeline(ctx: Context, name: str) -> Pipeline:
    """By name or id. Raises Problem `not_found`."""
    return _pipeline(ctx, need(ctx, name))


def list_pipelines(ctx: Context, limit: int = 20, after: str | None = None) -> Page[Pipeline]:
    """Pipelines and templates, newest first."""
    return lists.page(
        ctx, pipeline, select(pipeline), lambda row: _pipeline(ctx, row), limit=limit, after=after
    )


def list_versions(ctx: Context, name: str) -> list[PipelineVersion]:
    """All versions, newest first."""
    found = ctx.conn.execute(
        select(pipeline_version)
        .where(pipeline_version.c.pipeline_id == need(ctx, name).id)
        .order_by(pipeline_version.c.version.desc())
    )
    return [PipelineVersion(version=row.version, spec=row.spec, created=row.created) for row in found]


def delete_pipeline(ctx: Context, name: str) -> None:
    """Forget a pipeline, its versions and its schedule; its runs stay."""
    id = need(ctx, name).id
    for table in (pipeline_start, pipeline_version):
        ctx.conn.execute(delete(table).where(table.c.pipeline_id == id))
    ctx.conn.execute(delete(pipeline).where(pipeline.c.id == id))


def set_schedule(ctx: Context, name: str, *, active: bool) -> Pipeline:
    """Turn its schedule on or off. What it missed while off isn't caught up."""
    row = need(ctx, name)
    ctx.conn.execute(update(pipeline).where(pipeline.c.id == row.id).values(active=active))
    plan(ctx, row.id, newest_spec(ctx, row), active=active)
    return get_pipeline(ctx, row.id)


def start(ctx: Context, name: str, *, due: int | None = None) -> RunDetail:
    """Queue a run of the newest version. Raises Problem `template_not_started`, and what submitting raises."""
    row = need(ctx, name)
    if row.template:
        raise Problem("template_not_started", name=row.name)
    spec = newest_spec(ctx, row)
    once = spec.model_copy(update={"trigger": TriggerSpec(), "name": spec.name or row.name})
    started = runs.submit(ctx, once)
    note_start(ctx, row, "started", due=due, run_id=started.id)
    return started


def list_starts(ctx: Context, name: str, limit: int = 20, after: str | None = None) -> Page[PipelineStart]:
    """When it started or was to start, newest first."""
    query = (
        select(pipeline_start, job.c.name, run.c.number)
        .outerjoin(run, run.c.id == pipeline_start.c.run_id)
        .outerjoin(job, job.c.id == run.c.job_id)
        .where(pipeline_start.c.pipeline_id == need(ctx, name).id)
    )
    return lists.page(ctx, pipeline_start, query, _start, limit=limit, after=after)


def check(ctx: Context, spec: RunSpec) -> ResolvedSpec:
    """What it would run with now. Raises Problem where it couldn't, or its schedule can never start it."""
    resolved = runs.resolve(ctx, spec.model_copy(update={"trigger": TriggerSpec()}))
    if spec.trigger.type == "schedule" and not Timetable(spec.trigger).after(now_us(), 1):
        raise Problem("schedule_invalid", detail="its last day is over before it starts once")
    return resolved


def foresee(ctx: Context, spec: RunSpec) -> PipelineCheck:
    """What it would run with now, and when its schedule would start it. Raises as `save`; nothing is kept."""
    return PipelineCheck(resolved=check(ctx, spec), next=next_starts(spec.trigger))


def next_starts(trigger: TriggerSpec) -> list[int]:
    """The next times of a schedule; none without one. Raises Problem `schedule_invalid`."""
    return Timetable(trigger).after(now_us()) if trigger.type == "schedule" else []


def plan(ctx: Context, id: str, spec: RunSpec, *, active: bool, after: int | None = None) -> None:
    """Note the schedule's next time after a moment, now where none is given."""
    following: list[int] = []
    if active and spec.trigger.type == "schedule":
        following = Timetable(spec.trigger).after(now_us() if after is None else after, 1)
    ctx.conn.execute(
        update(pipeline).where(pipeline.c.id == id).values(next_start=following[0] if following else None)
    )


def note_start(
    ctx: Context,
    row: Row[Any],
    outcome: str,
    *,
    due: int | None,
    run_id: str | None = None,
    reason: Problem | None = None,
) -> None:
    """Write down what came of a start."""
    ctx.conn.execute(
        pipeline_start.insert().values(
            id=new_id("start"),
            project_id=ctx.project,
            pipeline_id=row.id,
            version=row.version,
            due=due,
            outcome=outcome,
            run_id=run_id,
            reason=None if reason is None else reason.as_dict(),
            created=now_us(),
        )
    )


def need(ctx: Context, name: str) -> Row[Any]:
    """The table's row, by name or id. Raises Problem `not_found`."""
    row = _find(ctx, name)
    if row is None:
        raise Problem("not_found", noun="pipeline", name=name, list=_LIST)
    return row


def newest_spec(ctx: Context, row: Row[Any]) -> RunSpec:
    found = ctx.conn.scalar(
        select(pipeline_version.c.spec).where(
            pipeline_version.c.pipeline_id == row.id, pipeline_version.c.version == row.version
        )
    )
    return RunSpec.model_validate(found)


def _find(ctx: Context, name: str) -> Row[Any] | None:
    named = (pipeline.c.id == name) | (pipeline.c.name == name)
    return ctx.conn.execute(select(pipeline).where(pipeline.c.project_id == ctx.project, named)).one_or_none()


def _add_version(ctx: Context, id: str, spec: RunSpec) -> None:
    version = (
        ctx.conn.scalar(
            select(func.max(pipeline_version.c.version)).where(pipeline_version.c.pipeline_id == id)
        )
        or 0
    ) + 1
    ctx.conn.execute(
        pipeline_version.insert().values(
            pipeline_id=id,
            version=version,
            project_id=ctx.project,
            spec=spec.model_dump(mode="json", exclude_unset=True),
            created=now_us(),
        )
    )
    ctx.conn.execute(update(pipeline).where(pipeline.c.id == id).values(version=version, changed=now_us()))
    active = bool(
        ctx.conn.scalar(select(pipeline.c.active & ~pipeline.c.template).where(pipeline.c.id == id))
    )
    plan(ctx, id, spec, active=active)


def _pipeline(ctx: Context, row: Row[Any]) -> Pipeline:
    spec = newest_spec(ctx, row)
    schedule = None
    if spec.trigger.type == "schedule" and not row.template:
        schedule = Schedule(active=row.active, next=next_starts(spec.trigger) if row.active else [])
    return Pipeline(
        id=row.id,
        name=row.name,
        template=row.template,
        version=row.version,
        spec=spec,
        schedule=schedule,
        created=row.created,
        changed=row.changed,
    )


def _start(row: Row[Any]) -> PipelineStart:
    return PipelineStart(
        id=row.id,
        version=row.version,
        due=row.due,
        outcome=row.outcome,
        run=f"{row.name} #{row.number}" if row.run_id else None,
        run_id=row.run_id,
        reason=row.reason,
        created=row.created,
    )
