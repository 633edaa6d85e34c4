"""Runs: submit, follow, stop, pause, resume, cancel."""

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from sqlalchemy import Row, select, update

from tunery.core.attempt import AttemptFolder, run_data_folder
from tunery.core.errors import Problem
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
from tunery.services import (
    base_models,
    clones,
    continuing,
    costs,
    estimated,
    job_lines,
    lists,
    replay,
    run_data,
)
from tunery.services.begun import FROM_BASE, Begun
from tunery.services.context import Context
from tunery.services.continuing import Start
from tunery.services.find_run import LIST, need_run
from tunery.services.prices import prices_of
from tunery.services.recipe import preview_of
from tunery.services.resolve import as_written
from tunery.services.resolve import resolve as resolve_spec
from tunery.services.run_data import RunData
from tunery.services.waiting import waiting_of

Verb = Literal["stop", "pause", "resume", "cancel"]
_LOG_BYTES = 200_000


def resolve(ctx: Context, spec: RunSpec) -> ResolvedSpec:
    """What would run: every value filled in. Raises the Problem that submitting would."""
    return _filled(ctx, _plan(ctx, spec, measured=True))[0]


def plan(ctx: Context, spec: RunSpec) -> tuple[ResolvedSpec, dict[str, Any], Path | None]:
    """What would run, the inputs that would be fixed with it, and the folder of the earlier weights it begins with.

    Raises the Problem that submitting would.
    """
    looked_up = _plan(ctx, spec)
    start = None if looked_up.start is None else looked_up.start.folder
    return _filled(ctx, looked_up)[0], _inputs(ctx, looked_up), start


def preview(ctx: Context, spec: RunSpec) -> RecipePreview:
    """What a spec's data would come to. Raises the Problem that submitting would."""
    looked_up = _plan(ctx, spec, measured=True)
    resolved, leaks = _filled(ctx, looked_up)
    found = looked_up.found
    told = preview_of(
        resolved,
        train=found.train,
        general=found.general,
        validation=found.validation,
        minimum_rows=ctx.settings.minimum_rows,
        leaks=leaks,
        replay=found.replay,
    )
    return told.model_copy(update={"cost": costs.before(ctx, resolved, told.tokens)})


def recipe(ctx: Context, id: str) -> RecipeReport:
    """What a run's data came to. Raises Problem `not_found` before its rows are laid out."""
    row = need_run(ctx, id)
    report = read_report(run_data_folder(ctx.folder, row.id))
    if report is None:
        raise Problem("not_found", noun="recipe report of", name=id, list=LIST)
    return report


def submit(ctx: Context, spec: RunSpec) -> RunDetail:
    """Freeze the spec, and queue it as the next run of its name."""
    looked_up = _plan(ctx, spec)
    resolved, start = _filled(ctx, looked_up)[0], looked_up.start
    spec = resolved.spec
    predicted = estimated.known(ctx, resolved)
    id = job_lines.add_run(
        ctx,
        spec,
        method=spec.method,
        base_model=spec.base_model,
        resolved=resolved.model_dump(mode="json"),
        inputs=_inputs(ctx, looked_up),
        stages=[stage.model_dump() for stage in stages.planned(resolved.spec)],
        progress=Progress().model_dump(),
        continues_id=start.continued.run if start else None,
        estimate=None if predicted is None else predicted.model_dump(mode="json"),
    )
    if start is not None:
        continuing.keep(ctx, start, id)
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
        # By its id: where few runs have this name, nobody looks through those of others.
        named = select(job.c.id).where(job.c.project_id == ctx.project, job.c.name == name)
        query = query.where(run.c.job_id == named.scalar_subquery())
    return lists.page(ctx, run, query, lambda row: Run(**_fields(ctx, row)), limit=limit, after=after)


def get_run(ctx: Context, id: str) -> RunDetail:
    """One run with its frozen spec. Raises Problem `not_found`."""
    row = need_run(ctx, id)
    resolved = ResolvedSpec.model_validate(row.resolved)
    return RunDetail(
        **_fields(ctx, row),
        resolved=resolved,
        cost=costs.of_run(ctx, row),
        ancestors=continuing.ancestors(ctx, resolved),
        continued_by=continuing.continued_by(ctx, row.id),
        retries=None if row.retries_id is None else continuing.related(ctx, row.retries_id),
        result=None if row.result is None else TrainResult.model_validate(row.result["train"]),
        estimate=None if row.estimate is None else EstimateResult.model_validate(row.estimate),
    )


def spec_of(ctx: Context, id: str) -> RunSpec:
    """A run as a person would write it: what the next run of its job starts from. Raises Problem `not_found`."""
    return RunSpec.model_validate(as_written(ResolvedSpec.model_validate(need_run(ctx, id).resolved)))


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


@dataclass(frozen=True)
class _Plan:
    """Everything a spec names, looked up."""

    found: RunData
    base: ModelFolder
    base_hash: str
    start: Start | None
    left_out: str | None
    """Why nothing of an earlier run's data is mixed in."""

    @property
    def begun(self) -> Begun:
        if self.start is None:
            return FROM_BASE
        replayed = [one.label for one in self.found.replay.facts]
        return Begun(
            continued=self.start.continued.model_copy(update={"replayed": replayed}),
            settings=self.start.earlier.spec.settings,
            replay=self.found.replay,
            left_out=self.left_out,
        )


def _plan(ctx: Context, spec: RunSpec, *, measured: bool = False) -> _Plan:
    """`measured`: with the characters of a token counted for all data, for advice too, not only where they decide."""
    LAUNCHERS.load(spec.resources.launcher)
    spec, start = continuing.find(ctx, spec)
    job_lines.check(ctx, spec)
    base, base_hash = base_models.find_folder(ctx, spec.base_model)
    found, left_out = run_data.look_up(ctx, spec), None
    if start is not None:
        continuing.check_base(start, base_hash)
        found, left_out = replay.added(ctx, found, start)
    return _Plan(run_data.measured(ctx, found, base, everything=measured), base, base_hash, start, left_out)


def _inputs(ctx: Context, plan: _Plan) -> dict[str, Any]:
    """What is fixed with the resolved spec."""
    prices = prices_of(ctx.settings, idle_time=plan.found.spec.resources.idle_time)
    return {
        "base_model": str(plan.base.path),
        "prices": None if prices is None else prices.model_dump(mode="json"),
        "licence": base_models.licence_of(ctx, plan.found.spec.base_model),
        **plan.found.inputs(),
    }


def _filled(ctx: Context, plan: _Plan) -> tuple[ResolvedSpec, LeakReport | None]:
    found = plan.found
    leaks = run_data.leaks_of(ctx, found)
    resolved = resolve_spec(
        found.spec,
        base=plan.base,
        base_hash=plan.base_hash,
        train=found.train,
        validation=found.validation,
        held_out=found.held_out,
        general=found.general,
        minimum_rows=ctx.settings.minimum_rows,
        leaks=leaks,
        begun=plan.begun,
    )
    return clones.compared(ctx, resolved), leaks


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
