"""Runs: submit, follow, stop, pause, resume, cancel."""

import re
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal

from sqlalchemy import Row, func, select, update

from tunery.core.attempt import AttemptFolder, run_data_folder
from tunery.core.clock import now_us
from tunery.core.errors import Problem
from tunery.core.ids import new_id
from tunery.data.laid_out import read_report
from tunery.db.curves import points_after, read_series
from tunery.db.tables import (
    attempt,
    checkpoint,
    event,
    job,
    model,
    model_version,
    run,
    task,
)
from tunery.jobs import stages
from tunery.jobs.states import RUN_ENDED, TASK_ENDED, move_run, move_task
from tunery.launch.point import LAUNCHERS
from tunery.models.folder import ModelFolder
from tunery.schemas.estimate import EstimateResult
from tunery.schemas.project import Page
from tunery.schemas.recipe import LeakReport, RecipePreview, RecipeReport
from tunery.schemas.run import (
    Checkpoint,
    LogPart,
    MetricSeries,
    Progress,
    ResolvedSpec,
    Run,
    RunDetail,
    RunLog,
    RunSpec,
    RunState,
    Stage,
    TrainResult,
)
from tunery.services import base_models, estimated, lists, run_data
from tunery.services.context import Context
from tunery.services.recipe import preview_of
from tunery.services.resolve import resolve as resolve_spec
from tunery.services.run_data import RunData
from tunery.services.waiting import waiting_of

Verb = Literal["stop", "pause", "resume", "cancel"]
_LIST = "tunery runs list"
_LOG_BYTES = 200_000


def resolve(ctx: Context, spec: RunSpec) -> ResolvedSpec:
    """What would run: every value filled in. Raises the Problem that submitting would."""
    return _resolve(ctx, spec, sample=True)[0]


def plan(ctx: Context, spec: RunSpec) -> tuple[ResolvedSpec, dict[str, Any]]:
    """What would run, and the inputs that would be fixed with it. Raises the Problem that submitting would."""
    return _resolve(ctx, spec, sample=False)


def preview(ctx: Context, spec: RunSpec) -> RecipePreview:
    """What a spec's data would come to. Raises the Problem that submitting would."""
    base, base_hash = base_models.find_folder(ctx, spec.base_model)
    found = run_data.measured(ctx, run_data.look_up(ctx, spec), base, everything=True)
    resolved, leaks = _filled(ctx, found, base, base_hash)
    return preview_of(
        resolved,
        train=found.train,
        general=found.general,
        validation=found.validation,
        minimum_rows=ctx.settings.minimum_rows,
        leaks=leaks,
    )


def recipe(ctx: Context, id: str) -> RecipeReport:
    """What a run's data came to. Raises Problem `not_found` before its rows are laid out."""
    row = need_run(ctx, id)
    report = read_report(run_data_folder(ctx.folder, row.id))
    if report is None:
        raise Problem("not_found", noun="recipe report of", name=id, list=_LIST)
    return report


def submit(ctx: Context, spec: RunSpec) -> RunDetail:
    """Freeze the spec, and queue it as the next run of its name."""
    resolved, inputs = _resolve(ctx, spec, sample=False)
    name = resolved.spec.name
    assert name is not None
    job_id = ctx.conn.scalar(select(job.c.id).where(job.c.project_id == ctx.project, job.c.name == name))
    if job_id is None:
        job_id = new_id("job")
        ctx.conn.execute(
            job.insert().values(
                id=job_id,
                project_id=ctx.project,
                name=name,
                task=spec.task,
                description=spec.description,
                created=now_us(),
            )
        )
    number = (ctx.conn.scalar(select(func.max(run.c.number)).where(run.c.job_id == job_id)) or 0) + 1
    id = new_id("run")
    predicted = estimated.known(ctx, resolved)
    ctx.conn.execute(
        run.insert().values(
            id=id,
            project_id=ctx.project,
            job_id=job_id,
            number=number,
            state="queued",
            method=spec.method,
            base_model=spec.base_model,
            resolved=resolved.model_dump(mode="json"),
            inputs=inputs,
            stages=[stage.model_dump() for stage in stages.planned(resolved.spec)],
            progress=Progress().model_dump(),
            estimate=None if predicted is None else predicted.model_dump(mode="json"),
            created=now_us(),
        )
    )
    stages.note(ctx.conn, ctx.project, id, stages.SAYS["queued"])
    stages.begin(ctx.conn, ctx.project, id, "train")
    return get_run(ctx, id)


def list_runs(
    ctx: Context,
    *,
    state: str | None = None,
    name: str | None = None,
    limit: int = 20,
    after: str | None = None,
) -> Page[Run]:
    """Runs, newest first."""
    query = select(run, job.c.name, job.c.description).join(job, job.c.id == run.c.job_id)
    if state is not None:
        query = query.where(run.c.state == state)
    if name is not None:
        query = query.where(job.c.name == name)
    return lists.page(ctx, run, query, lambda row: Run(**_fields(ctx, row)), limit=limit, after=after)


def get_run(ctx: Context, id: str) -> RunDetail:
    """One run with its frozen spec. Raises Problem `not_found`."""
    row = need_run(ctx, id)
    return RunDetail(
        **_fields(ctx, row),
        resolved=ResolvedSpec.model_validate(row.resolved),
        result=None if row.result is None else TrainResult.model_validate(row.result["train"]),
        estimate=None if row.estimate is None else EstimateResult.model_validate(row.estimate),
    )


def ask(ctx: Context, id: str, verb: Verb) -> Run:
    """Stop and keep, pause, resume or cancel. Raises Problem `not_in_state` when the run is past that."""
    row = need_run(ctx, id)
    if verb == "resume":
        _resume(ctx, row)
    elif row.state == "running":
        ctx.conn.execute(update(run).where(run.c.id == row.id).values(want=verb))
        stages.note(ctx.conn, ctx.project, row.id, f"{verb.capitalize()} requested.")
    else:
        _ask_idle(ctx, row, verb)
    return get_run(ctx, row.id)


def events(
    ctx: Context, id: str, after: int = 0, limit: int = 1000, *, metrics: bool = True
) -> list[dict[str, Any]]:
    """What happened after event number `after`, in order; each body carries its number as `id`."""
    id = need_run(ctx, id).id
    stored = ctx.conn.execute(
        select(event).where(event.c.run_id == id, event.c.seq > after).order_by(event.c.seq).limit(limit)
    )
    found: dict[int, dict[str, Any]] = {row.seq: {**row.body, "id": row.seq} for row in stored}
    for number, point in points_after(ctx.conn, id, after) if metrics else ():
        body = found.setdefault(
            point.seq,
            {
                "v": 1,
                "type": "metric",
                "id": point.seq,
                "attempt": number,
                "step": point.step,
                "time": point.time,
                "values": {},
            },
        )
        body["values"][point.name] = point.value
    return [found[seq] for seq in sorted(found)][:limit]


def metrics(
    ctx: Context,
    id: str,
    names: list[str] | None = None,
    first_step: int = 0,
    last_step: int | None = None,
    points: int = 1000,
) -> list[MetricSeries]:
    """Curves, thinned to about `points` each."""
    id = need_run(ctx, id).id
    return read_series(ctx.conn, id, names or [], first_step, last_step, points)


def checkpoints(ctx: Context, id: str) -> list[Checkpoint]:
    """Checkpoints that are still there, newest first."""
    id = need_run(ctx, id).id
    rows = ctx.conn.execute(
        select(checkpoint).where(checkpoint.c.run_id == id).order_by(checkpoint.c.created.desc())
    )
    return [
        Checkpoint(
            run=id, attempt=row.attempt, step=row.step, created=row.created, bytes=row.bytes, hash=row.hash
        )
        for row in rows
        if Path(row.folder).exists()
    ]


def log(ctx: Context, id: str, offset: int = 0, attempt_number: int | None = None) -> RunLog:
    """What an engine printed, from a byte offset: that of one attempt, or the newest that printed anything."""
    row = need_run(ctx, id)
    attempts = ctx.conn.execute(
        select(attempt.c.folder, attempt.c.number, task.c.kind)
        .join(task, task.c.id == attempt.c.task_id)
        .where(task.c.run_id == row.id)
        .order_by(attempt.c.number)
    ).all()
    files = {one.number: AttemptFolder(Path(one.folder)).log for one in attempts}
    logs = [
        LogPart(attempt=one.number, stage="evaluate" if one.kind == "evaluate" else "train")
        for one in attempts
        if _size(files[one.number])
    ]
    number = attempt_number or (logs[-1].attempt if logs else max(files, default=0))
    text = b""
    if number in files:
        with suppress(FileNotFoundError), files[number].open("rb") as file:
            file.seek(offset)
            text = file.read(_LOG_BYTES)
    return RunLog(
        text=text.decode("utf-8", errors="replace"), offset=offset + len(text), attempt=number, logs=logs
    )


def _size(file: Path) -> int:
    try:
        return file.stat().st_size
    except FileNotFoundError:
        return 0


def ended(run_state: str) -> bool:
    """Nothing more will happen to a run in this state."""
    return run_state in RUN_ENDED


def need_run(ctx: Context, id: str) -> Row[Any]:
    """The table's row of a run, with its job's name: by id, by `name #2`, or the newest run of a name.

    Raises Problem `not_found`.
    """
    query = select(run, job.c.name, job.c.description).join(job, job.c.id == run.c.job_id)
    row = ctx.conn.execute(query.where(run.c.project_id == ctx.project, run.c.id == id)).one_or_none()
    if row is None:  # asked apart, so that either finds its index
        name, number = _numbered(id)
        named = query.where(job.c.project_id == ctx.project, job.c.name == name)
        if number is not None:
            named = named.where(run.c.number == number)
        row = ctx.conn.execute(named.order_by(run.c.number.desc()).limit(1)).one_or_none()
    if row is None:
        raise Problem("not_found", noun="run", name=id, list=_LIST)
    return row


def _numbered(text: str) -> tuple[str, int | None]:
    """`name #2` as name and number."""
    name, _, number = text.rpartition("#")
    return (name.strip(), int(number)) if name and re.fullmatch("[0-9]{1,9}", number) else (text, None)


def _ask_idle(ctx: Context, row: Row[Any], verb: Verb) -> None:
    """A verb for a run that no engine works on."""
    targets: dict[str, RunState] = {"pause": "paused", "stop": "stopped", "cancel": "cancelled"}
    if verb == "pause" and row.state == "paused":
        return
    if verb == "stop" and row.result is None and not _saved(ctx, row.id):
        verb = "cancel"  # there is nothing to keep
    waiting = ctx.conn.scalars(
        select(task.c.id).where(task.c.run_id == row.id, task.c.state.not_in(TASK_ENDED))
    )
    for id in list(waiting):
        move_task(ctx.conn, id, "cancelled")
    if not move_run(ctx.conn, row.id, targets[verb]):
        raise Problem(
            "not_in_state", noun="run", name=row.id, state=row.state, verb=verb, needed="queued or running"
        )
    stages.leave_off(ctx.conn, row.id, "waiting" if verb == "pause" else "skipped")
    stages.note(ctx.conn, ctx.project, row.id, stages.SAYS[targets[verb]])


def _saved(ctx: Context, run_id: str) -> bool:
    return ctx.conn.scalar(select(checkpoint.c.id).where(checkpoint.c.run_id == run_id).limit(1)) is not None


def _resume(ctx: Context, row: Row[Any]) -> None:
    if not move_run(ctx.conn, row.id, "queued", come_from="paused", want="run", reason=None):
        raise Problem(
            "not_in_state", noun="run", name=row.id, state=row.state, verb="resume", needed="paused"
        )
    planned = [Stage.model_validate(stage) for stage in row.stages]
    stage = next((one.name for one in planned if one.state == "waiting"), "train")
    stages.begin(ctx.conn, ctx.project, row.id, stage)
    stages.note(ctx.conn, ctx.project, row.id, "Resumed.")


def _resolve(ctx: Context, spec: RunSpec, *, sample: bool) -> tuple[ResolvedSpec, dict[str, Any]]:
    """The resolved spec, and the inputs fixed with it. `sample`: look at the tokens of some rows too, for advice."""
    LAUNCHERS.load(spec.resources.launcher)
    base, base_hash = base_models.find_folder(ctx, spec.base_model)
    found = run_data.measured(ctx, run_data.look_up(ctx, spec), base, everything=sample)
    inputs = {
        "base_model": str(base.path),
        "licence": base_models.licence_of(ctx, spec.base_model),
        **found.inputs(),
    }
    return _filled(ctx, found, base, base_hash)[0], inputs


def _filled(
    ctx: Context, found: RunData, base: ModelFolder, base_hash: str
) -> tuple[ResolvedSpec, LeakReport | None]:
    leaks = run_data.leaks_of(ctx, found)
    resolved = resolve_spec(
        found.spec,
        base=base,
        base_hash=base_hash,
        train=found.train,
        validation=found.validation,
        held_out=found.held_out,
        general=found.general,
        minimum_rows=ctx.settings.minimum_rows,
        leaks=leaks,
    )
    return resolved, leaks


def _fields(ctx: Context, row: Row[Any]) -> dict[str, Any]:
    published = None
    if row.model_version_id is not None:
        published = ctx.conn.execute(
            select(model.c.name, model_version.c.version)
            .join(model, model.c.id == model_version.c.model_id)
            .where(model_version.c.id == row.model_version_id)
        ).one()
    resources = row.resolved["spec"]["resources"]
    return {
        "id": row.id,
        "name": row.name,
        "number": row.number,
        "description": row.description,
        "state": row.state,
        "reason": row.reason,
        "waiting": waiting_of(ctx, row.id) if row.state in ("queued", "running") else None,
        "method": row.method,
        "base_model": row.base_model,
        "priority": resources.get("priority", 0),
        "idle_time": resources.get("idle_time", False),
        "progress": row.progress,
        "stages": row.stages,
        "attempt": row.attempt,
        "created": row.created,
        "started": row.started,
        "ended": row.ended,
        "model": None if published is None else f"{published.name}:{published.version}",
        "evaluation": row.evaluation_id,
        "last_event": row.event_seq,
    }
