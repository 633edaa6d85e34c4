"""The settings of a saved template, for runs that name it: they stand for those that a run leaves out."""

import re
from typing import Any

from sqlalchemy import select

from tunery.core.errors import Problem, Where
from tunery.db.tables import pipeline, pipeline_version
from tunery.schemas.run import RunSpec
from tunery.services.context import Context


def find(ctx: Context, spec: RunSpec) -> tuple[RunSpec, dict[str, Any]]:
    """The spec with the exact version of the template it names, and the settings that come from there.

    A template that names another has that one's settings, too. Raises Problem `not_found`.
    """
    if spec.template is None:
        return spec, {}
    label, settings, wanted = "", {}, spec.template
    seen: set[str] = set()
    while wanted is not None and wanted not in seen:
        seen.add(wanted)
        exact, found = _look_up(ctx, wanted)
        label = label or exact
        settings, wanted = {**found.settings, **settings}, found.template
    return spec.model_copy(update={"template": label}), settings


def _look_up(ctx: Context, wanted: str) -> tuple[str, RunSpec]:
    """`name@2`, and what was saved as it."""
    name, at, number = wanted.rpartition("@")
    if not (at and re.fullmatch("[0-9]{1,9}", number)):
        name, number = wanted, None
    version = pipeline.c.version if number is None else int(number)
    row = ctx.conn.execute(
        select(pipeline.c.name, pipeline_version.c.version, pipeline_version.c.spec)
        .join(pipeline_version, pipeline_version.c.pipeline_id == pipeline.c.id)
        .where(
            pipeline.c.project_id == ctx.project,
            pipeline.c.name == name,
            pipeline_version.c.version == version,
        )
    ).one_or_none()
    if row is None:
        where = Where(field="template")
        raise Problem("not_found", where=where, noun="template", name=wanted, list="tunery pipelines list")
    return f"{row.name}@{row.version}", RunSpec.model_validate(row.spec)
