"""What /v1 can answer for: base models on this machine, and published models."""

from pathlib import Path
from typing import Any

from sqlalchemy import Row, Select, select

from tunery.core.errors import Problem
from tunery.db.tables import base_model, model, model_version, run
from tunery.methods.point import writes_text
from tunery.schemas.model import Deployment
from tunery.serve.replicas import ReplicaPool
from tunery.serve.router import Target
from tunery.services.context import Context
from tunery.starter.place import MODEL_FOLDER, MODEL_NAME


def find_target(ctx: Context, name: str) -> Target:
    """What `model` in a chat request means: a base model, a model (its latest version), or model:version.

    Raises Problem `model_not_served`, or `model_gives_scores` where it is one that writes no text.
    """
    for target in _bases(ctx):
        if target.name == name:
            return target
    wanted, _, version = name.rpartition(":")
    if wanted and version.isdigit():
        row = ctx.conn.execute(
            _versions(ctx).where(model.c.name == wanted, model_version.c.version == int(version))
        ).one_or_none()
    else:
        row = ctx.conn.execute(
            _versions(ctx).where(model.c.name == name, model_version.c.version == model.c.latest)
        ).one_or_none()
    if row is None:
        raise Problem("model_not_served", name=name)
    if not writes_text(row.method):
        raise Problem("model_gives_scores", name=name, method=row.method)
    return _target(row, name)


def list_targets(ctx: Context) -> list[Target]:
    """Everything that can be asked, published models first, newest first."""
    found: list[Target] = []
    for row in ctx.conn.execute(_versions(ctx).order_by(model_version.c.created.desc())):
        if not writes_text(row.method):
            continue
        if row.version == row.latest:
            found.append(_target(row, row.name))
        found.append(_target(row, f"{row.name}:{row.version}"))
    return found + _bases(ctx)


def list_deployments(ctx: Context, pool: ReplicaPool) -> list[Deployment]:
    """The same with the state of the replica behind each."""
    return [
        Deployment(
            name=target.name,
            base_model=target.base_model,
            model_version=target.version,
            state=pool.state(target),
            error=pool.failure(target),
            created=target.created,
        )
        for target in list_targets(ctx)
    ]


def _versions(ctx: Context) -> Select[Any]:
    return (
        select(model.c.name, model.c.latest, run.c.method, model_version)
        .join(model, model.c.id == model_version.c.model_id)
        .join(run, run.c.id == model_version.c.run_id)
        .where(model_version.c.project_id == ctx.project)
    )


def _target(row: Row[Any], name: str) -> Target:
    adapter = row.kind == "adapter"
    return Target(
        name=name,
        base_folder=Path(row.base_path if adapter else row.folder),
        adapter_folder=Path(row.folder) if adapter else None,
        adapter_name=row.id if adapter else None,
        version=f"{row.name}:{row.version}",
        base_model=row.base_model,
        created=row.created,
    )


def _bases(ctx: Context) -> list[Target]:
    rows = ctx.conn.execute(select(base_model).where(base_model.c.project_id == ctx.project))
    found = [
        Target(name=row.name, base_folder=Path(row.path), base_model=row.name, created=row.created)
        for row in rows
        if Path(row.path).exists()
    ]
    if MODEL_FOLDER.exists():
        found.append(Target(name=MODEL_NAME, base_folder=MODEL_FOLDER, base_model=MODEL_NAME))
    return found
