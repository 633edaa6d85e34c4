"""Published models: their versions and lineage, and publishing by hand."""

from typing import Any

from sqlalchemy import Row, select

from tunery.core.errors import Problem
from tunery.db.tables import checkpoint, evaluation, model, model_version, run, task
from tunery.jobs.line import enqueue
from tunery.methods.point import writes_text
from tunery.schemas.model import Model, ModelVersion, PublishRequest
from tunery.schemas.project import Page
from tunery.schemas.task import Task
from tunery.services import lists, tasks
from tunery.services.context import Context
from tunery.services.find_run import need_run

_LIST = "tunery models list"


def list_models(ctx: Context, limit: int = 20, after: str | None = None) -> Page[Model]:
    """Models, newest first."""
    return lists.page(ctx, model, select(model), lambda row: _model(ctx, row), limit=limit, after=after)


def list_names(ctx: Context) -> list[str]:
    """The names of all models."""
    return list(ctx.conn.scalars(select(model.c.name).where(model.c.project_id == ctx.project)))


def get_model(ctx: Context, name: str) -> Model:
    """By name or id. Raises Problem `not_found`."""
    return _model(ctx, _need(ctx, name))


def list_versions(ctx: Context, name: str) -> list[ModelVersion]:
    """All versions, newest first."""
    row = _need(ctx, name)
    found = ctx.conn.execute(
        select(model_version)
        .where(model_version.c.model_id == row.id)
        .order_by(model_version.c.version.desc())
    )
    return [_version(ctx, row.name, version) for version in found]


def publish(ctx: Context, request: PublishRequest) -> Task:
    """Queue the publishing of a run's model, or of one of its checkpoints.

    Raises Problem `not_publishable` when there is neither, `already_published` when it is a version of another name.
    """
    row = need_run(ctx, request.run)
    _refuse_second_name(ctx, row, request)
    if request.step is not None:
        found = ctx.conn.scalar(
            select(checkpoint.c.id).where(checkpoint.c.run_id == row.id, checkpoint.c.step == request.step)
        )
        if found is None:
            raise Problem(
                "not_publishable", run=row.id, detail=f"it has no checkpoint at step {request.step}"
            )
    elif row.result is None or row.result["train"]["output"] is None:
        raise Problem("not_publishable", run=row.id, detail=f"its state is {row.state} and it has no model")
    payload = {"by_hand": True, "name": request.name, "step": request.step}
    id = enqueue(ctx.conn, "publish", ctx.project, payload, row.id)
    return tasks.from_row(ctx.conn.execute(select(task).where(task.c.id == id)).one())


def published_steps(ctx: Context, run: str) -> dict[int, str]:
    """What was published of a run: `name:version` by step."""
    found = ctx.conn.execute(
        select(model.c.name, model_version.c.version, model_version.c.step)
        .join(model, model.c.id == model_version.c.model_id)
        .where(model_version.c.run_id == run)
    )
    return {row.step: f"{row.name}:{row.version}" for row in found}


def _refuse_second_name(ctx: Context, row: Row[Any], request: PublishRequest) -> None:
    """One state of one run is one version; asking for it again under its own name does no harm."""
    step = request.step if request.step is not None else row.result and row.result["train"]["steps"]
    known = published_steps(ctx, row.id).get(step)
    wanted = request.name or row.resolved["spec"]["publish"]["name"] or row.name
    if known is not None and known.rpartition(":")[0] != wanted:
        raise Problem("already_published", step=step, model=known)


def _need(ctx: Context, name: str) -> Row[Any]:
    row = ctx.conn.execute(
        select(model).where(model.c.project_id == ctx.project, (model.c.name == name) | (model.c.id == name))
    ).one_or_none()
    if row is None:
        raise Problem("not_found", noun="model", name=name, list=_LIST)
    return row


def _model(ctx: Context, row: Row[Any]) -> Model:
    latest = ctx.conn.execute(
        select(model_version).where(model_version.c.model_id == row.id, model_version.c.version == row.latest)
    ).one_or_none()
    return Model(
        id=row.id,
        name=row.name,
        created=row.created,
        latest=None if latest is None else _version(ctx, row.name, latest),
    )


def _version(ctx: Context, name: str, row: Row[Any]) -> ModelVersion:
    scores = None
    if row.evaluation_id is not None:
        result = ctx.conn.scalar(select(evaluation.c.result).where(evaluation.c.id == row.evaluation_id))
        scores = None if result is None else {"base": result["base"], "tuned": result["tuned"]}
    return ModelVersion(
        model=name,
        version=row.version,
        kind=row.kind,
        writes_text=writes_text(ctx.conn.scalars(select(run.c.method).where(run.c.id == row.run_id)).one()),
        base_model=row.base_model,
        run=row.run_id,
        step=row.step,
        continued_from=row.lineage.get("continued_from", []),
        dataset_versions=row.lineage["datasets"],
        evaluation=row.evaluation_id,
        scores=scores,
        content_hash=row.content_hash,
        bytes=row.bytes,
        licence=row.licence,
        created=row.created,
    )
