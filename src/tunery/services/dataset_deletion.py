"""Deleting a version: its rows go, its number and its hash stay, so that nothing else is ever taken for it.

A version that a model was trained on goes only when that is asked for in so many words.
"""

from typing import Any

import orjson
from sqlalchemy import Row, select, update

from tunery.core.errors import Problem
from tunery.db.tables import dataset, dataset_version, model, model_version, run, task
from tunery.jobs.states import RUN_ENDED, TASK_ENDED, move_task
from tunery.schemas.dataset import DatasetVersion
from tunery.services.context import Context
from tunery.services.datasets import get_version, version_row
from tunery.services.staging import forget, staged


def delete_version(ctx: Context, name: str, version: int, *, even_if_used: bool = False) -> DatasetVersion:
    """Take the rows of a version away; its bytes are freed by the next collection.

    Raises Problem `version_in_use` when a model was trained on it (unless `even_if_used`), `version_in_run` while a
    run needs it.
    """
    found = version_row(ctx, name, version)
    if found.state == "deleted":
        return get_version(ctx, name, version)
    known_as = ctx.conn.scalar(select(dataset.c.name).where(dataset.c.id == found.dataset_id)) or name
    _refuse_if_running(ctx, known_as, found)
    trained = trained_on(ctx, known_as, version)
    if trained and not even_if_used:
        raise Problem(
            "version_in_use",
            version=version,
            dataset=known_as,
            used=f"was used to train the model {trained[0]}",
        )
    if found.task_id is not None:
        move_task(ctx.conn, found.task_id, "cancelled")
    forget(staged(ctx.folder, found.id))
    ctx.conn.execute(
        update(dataset_version)
        .where(dataset_version.c.id == found.id)
        .values(state="deleted", manifest=None, quarantine=None, report=None, kept_until=None)
    )
    return get_version(ctx, name, version)


def trained_on(ctx: Context, name: str, version: int) -> list[str]:
    """Models that were trained on a version, as `name:version`."""
    found = ctx.conn.execute(
        select(model.c.name, model_version.c.version, model_version.c.lineage)
        .join(model, model.c.id == model_version.c.model_id)
        .where(model_version.c.project_id == ctx.project)
        .order_by(model_version.c.created)
    )
    label = f"{name}@{version}"
    return [f"{row.name}:{row.version}" for row in found if label in row.lineage["datasets"]]


def _refuse_if_running(ctx: Context, name: str, found: Row[Any]) -> None:
    if found.manifest is None:
        return
    going = ctx.conn.execute(
        select(run.c.id, run.c.inputs).where(run.c.project_id == ctx.project, run.c.state.not_in(RUN_ENDED))
    ).all()
    # A stage that follows a run (evaluation) is a task of its own and needs the run's rows too.
    following = ctx.conn.execute(
        select(run.c.id, run.c.inputs)
        .join(task, task.c.run_id == run.c.id)
        .where(run.c.project_id == ctx.project, task.c.state.not_in(TASK_ENDED))
    ).all()
    for row in [*going, *following]:
        if found.manifest.encode() in orjson.dumps(row.inputs):
            raise Problem("version_in_run", run=row.id, version=found.version, dataset=name)
