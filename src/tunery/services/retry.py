"""Retrying a run that is over from one of its stages. What is over stays as it ended: the retry is the next run.

It has the same frozen spec and the very same rows. What the stages before made is taken over: for training the newest
checkpoint, for evaluation and publishing the trained model.
"""

from pathlib import Path
from typing import Any, get_args

from sqlalchemy import Row, select

from tunery.core.attempt import AttemptFolder
from tunery.core.errors import Problem, Where
from tunery.db.tables import dataset_version
from tunery.jobs import stages
from tunery.jobs.states import RUN_ENDED
from tunery.schemas.run import Progress, ResolvedSpec, RetryStage, RunDetail, Stage
from tunery.services import base_models, continuing, job_lines
from tunery.services.context import Context
from tunery.services.find_run import need_run
from tunery.services.prices import prices_of
from tunery.services.runs import get_run

_FIELD = Where(field="stage")
_STAGES: tuple[RetryStage, ...] = get_args(RetryStage)


def retry(ctx: Context, id: str, stage: RetryStage | None) -> RunDetail:
    """The next run of the same job, begun at a stage; none named = the one that failed.

    Raises Problem `not_in_state`, `retry_impossible`.
    """
    row = need_run(ctx, id)
    if row.state not in RUN_ENDED:
        raise Problem("not_in_state", noun="run", name=id, state=row.state, verb="retry", needed="over")
    resolved = ResolvedSpec.model_validate(row.resolved)
    before = [Stage.model_validate(one) for one in row.stages]
    failed = {one.name for one in before if one.state == "failed"}
    chosen: RetryStage | None = stage or next((one for one in _STAGES if one in failed), None)
    if chosen is None:
        raise _impossible(row, "no stage of it failed; name the one to begin with")
    planned = _planned(row, resolved, before, chosen)
    _check_inputs(ctx, row, resolved, chosen)
    if chosen in ("evaluate", "publish"):
        _check_model(row)
    job_lines.check(ctx, resolved.spec)
    return _begin(ctx, row, resolved, chosen, planned)


def stages_of(row: RunDetail) -> list[RetryStage]:
    """The stages that a run which is over may be retried from, its failed one first."""
    if row.state not in RUN_ENDED:
        return []
    wanted = {one.name for one in stages.planned(row.resolved.spec) if one.state == "waiting"}
    model = row.result is not None and row.result.output is not None
    failed = {one.name for one in row.stages if one.state == "failed"}
    found: list[RetryStage] = [
        one
        for one in _STAGES
        if one in wanted and (model or one in ("prepare", "train")) and not (one == "publish" and row.model)
    ]
    found.sort(key=lambda one: one not in failed)
    return found


def _planned(row: Row[Any], resolved: ResolvedSpec, before: list[Stage], chosen: RetryStage) -> list[Stage]:
    """The stages of the retry: those before are as they were, the chosen one and those after it wait."""
    fresh = {one.name: one for one in stages.planned(resolved.spec)}
    if fresh[chosen].state == "skipped":
        raise _impossible(row, f"its spec has no stage {chosen}")
    if chosen == "publish" and row.model_version_id is not None:
        raise _impossible(row, "its model is published")
    first = stages.ORDER.index(chosen)
    done = {one.name: one for one in before}
    kept = [
        done[name] if done[name].state == "succeeded" else Stage(name=name, state="skipped")
        for name in stages.ORDER[:first]
    ]
    return [*kept, *(fresh[name] for name in stages.ORDER[first:])]


def _check_inputs(ctx: Context, row: Row[Any], resolved: ResolvedSpec, chosen: RetryStage) -> None:
    """The base model is what it was, and the rows are still there."""
    _, base_hash = base_models.find_folder(ctx, resolved.spec.base_model)
    if base_hash != resolved.base_model_hash:
        raise _impossible(row, f"the base model {resolved.spec.base_model} was changed since")
    wanted = set() if chosen == "publish" else _manifests(row.inputs)
    there = ctx.conn.scalars(
        select(dataset_version.c.manifest).where(
            dataset_version.c.manifest.in_(wanted), dataset_version.c.state != "deleted"
        )
    )
    if wanted - set(there):
        raise _impossible(row, "rows that it was trained on were deleted")


def _manifests(inputs: dict[str, Any]) -> set[str]:
    """Every version that a run reads, and that the runs before it read."""
    named = [*inputs["train"], inputs["validation"], inputs["held_out"], inputs.get("general")]
    earlier = inputs.get("earlier")
    return {one for one in named if one is not None} | (_manifests(earlier) if earlier else set())


def _check_model(row: Row[Any]) -> None:
    if row.result is None or row.result["train"]["output"] is None:
        raise _impossible(row, "its training left no model")
    if not AttemptFolder(Path(row.result["folder"])).output.is_dir():
        raise _impossible(row, "its model's files are gone")


def _begin(
    ctx: Context, row: Row[Any], resolved: ResolvedSpec, chosen: RetryStage, planned: list[Stage]
) -> RunDetail:
    trains = chosen in ("prepare", "train")
    spec = resolved.spec
    prices = prices_of(ctx.settings, idle_time=spec.resources.idle_time)
    inputs = {**row.inputs, "prices": None if prices is None else prices.model_dump(mode="json")}
    inputs["checkpoints_of"] = [row.id, *row.inputs.get("checkpoints_of", [])] if chosen == "train" else []
    # What was billed is billed: the tokens of stages that are taken over aren't this run's.
    progress = Progress() if trains else Progress.model_validate({**row.progress, "tokens": 0})
    id = job_lines.add_run(
        ctx,
        spec,
        method=row.method,
        base_model=row.base_model,
        resolved=row.resolved,
        inputs=inputs,
        stages=[one.model_dump() for one in planned],
        progress=progress.model_dump(),
        result=None if trains else row.result,
        evaluation_id=row.evaluation_id if chosen == "publish" else None,
        continues_id=row.continues_id,
        retries_id=row.id,
        estimate=row.estimate,
    )
    if row.continues_id is not None:
        _share_start(ctx, row, id)
    says = f"Retries {row.name} #{row.number} from its stage {chosen}."
    stages.note(ctx.conn, ctx.project, id, says)
    stages.begin(ctx.conn, ctx.project, id, chosen)
    return get_run(ctx, id)


def _share_start(ctx: Context, row: Row[Any], id: str) -> None:
    """The model that both runs begin with."""
    try:
        continuing.share(ctx, row.id, id)
    except FileNotFoundError as error:
        raise _impossible(row, "the model that it began with is gone") from error


def _impossible(row: Row[Any], detail: str) -> Problem:
    return Problem("retry_impossible", where=_FIELD, run=f"{row.name} #{row.number}", detail=detail)
