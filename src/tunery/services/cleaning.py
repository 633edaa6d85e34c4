"""Cleaning: queue the steps that make a new version of a dataset out of one there is."""

from typing import Any

from sqlalchemy import Row, update

from tunery.core.errors import Problem
from tunery.data.clean import ready
from tunery.db.tables import dataset_version
from tunery.jobs.line import enqueue
from tunery.schemas.cleaning import CleanRequest
from tunery.schemas.dataset import Dataset, ImportOptions
from tunery.services.context import Context
from tunery.services.datasets import get_dataset, version_row
from tunery.services.imports import new_version


def clean(ctx: Context, name: str, request: CleanRequest) -> Dataset:
    """Queue the steps; what is left becomes the next version, a draft unless the request says otherwise.

    Raises Problem `not_found`, `not_in_state`, `unknown_extension`, `step_invalid`.
    """
    found = _version(ctx, name, request.version)
    dataset = get_dataset(ctx, name)
    wanted = ready(request.steps)
    tests = {test for one in wanted for test in one.datasets}
    others = {test: _version(ctx, *_named(test)).manifest for test in sorted(tests)}
    options = ImportOptions(format=found.format, publish=request.publish)
    id, version = new_version(ctx, request.name or dataset.name, options, None)
    payload = {
        "version": version,
        "source": f"{dataset.name}@{found.version}",
        "manifest": found.manifest,
        "steps": [{"step": one.name, "settings": one.settings.model_dump(mode="json")} for one in wanted],
        "datasets": others,
        "publish": request.publish,
    }
    task = enqueue(ctx.conn, "clean", ctx.project, payload)
    ctx.conn.execute(update(dataset_version).where(dataset_version.c.id == version).values(task_id=task))
    return get_dataset(ctx, id)


def _named(label: str) -> tuple[str, int | None]:
    name, mark, number = label.rpartition("@")
    return (name, int(number)) if mark and number.isdigit() else (label, None)


def _version(ctx: Context, name: str, number: int | None) -> Row[Any]:
    found = version_row(ctx, name, number)
    if found.manifest is None:
        raise Problem(
            "not_in_state",
            noun="version",
            name=f"{name}@{found.version}",
            state=found.state,
            verb="clean",
            needed="draft or published",
        )
    return found
