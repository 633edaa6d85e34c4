"""Base models: the catalog, and the folders people added."""

import re
from pathlib import Path

from sqlalchemy import Row, select

from tunery.core.clock import now_us
from tunery.core.errors import Problem
from tunery.core.ids import new_id
from tunery.db.tables import base_model
from tunery.models import catalog
from tunery.models.folder import ModelFolder, inspect_folder
from tunery.schemas.model import AddBaseModel, BaseModelEntry
from tunery.services.context import Context
from tunery.starter.place import MODEL_FOLDER, MODEL_NAME


def list_base_models(ctx: Context) -> list[BaseModelEntry]:
    """Every base model, those on this machine first."""
    own = ctx.conn.execute(
        select(base_model).where(base_model.c.project_id == ctx.project).order_by(base_model.c.name)
    )
    here = [_entry(row) for row in own]
    if MODEL_FOLDER.exists():
        here.insert(0, _starter_entry())
    names = {entry.name for entry in here}
    return here + [entry for entry in catalog.entries() if entry.name not in names]


def get_base_model(ctx: Context, name: str) -> BaseModelEntry:
    """By name. Raises Problem `unknown_base_model`."""
    for entry in list_base_models(ctx):
        if entry.name == name:
            return entry
    raise Problem("unknown_base_model", name=name)


def add_base_model(ctx: Context, body: AddBaseModel) -> BaseModelEntry:
    """Register a folder on this machine after looking through it.

    Raises Problem `model_folder_incomplete`, `pickled_weights`, `remote_code`, `name_taken`.
    """
    folder = inspect_folder(Path(body.path).expanduser())
    name = body.name or re.sub(r"[^A-Za-z0-9._\-]+", "-", folder.path.name).strip("-.")
    if any(entry.name == name and entry.available for entry in list_base_models(ctx)):
        raise Problem("name_taken", noun="base model", name=name)
    ctx.conn.execute(
        base_model.insert().values(
            id=new_id("base"),
            project_id=ctx.project,
            name=name,
            path=str(folder.path),
            content_hash=folder.content_hash(),
            family=folder.family,
            architecture=folder.architecture,
            parameters=folder.parameters,
            context=folder.limit,
            licence=body.licence,
            created=now_us(),
        )
    )
    return get_base_model(ctx, name)


def find_folder(ctx: Context, name: str) -> tuple[ModelFolder, str]:
    """The inspected folder of a base model, by name or by path, and the hash of its content.

    Raises Problem `unknown_base_model`, `model_weights_absent` (known, but not on this machine), and what
    `inspect_folder` raises.
    """
    path, known = _locate(ctx, name)
    folder = inspect_folder(path)
    return folder, known or folder.content_hash()


def look_into(ctx: Context, name: str) -> ModelFolder:
    """As `find_folder`, without a hash: that may mean reading all weights."""
    return inspect_folder(_locate(ctx, name)[0])


def _locate(ctx: Context, name: str) -> tuple[Path, str | None]:
    """Where a base model lies, and the hash of its content where that was kept."""
    if name == MODEL_NAME and MODEL_FOLDER.exists():
        return MODEL_FOLDER, None
    own = ctx.conn.execute(
        select(base_model).where(base_model.c.project_id == ctx.project, base_model.c.name == name)
    ).one_or_none()
    if own is not None:
        return Path(own.path), own.content_hash
    for entry in catalog.entries():
        if name in (entry.name, entry.repo):
            if instead := catalog.native_successor(name):
                raise Problem("remote_code", name=name, instead=instead)
            raise Problem("model_weights_absent", name=name)
    if "/" in name or name.startswith("."):
        return Path(name).expanduser(), None
    raise Problem("unknown_base_model", name=name)


def licence_of(ctx: Context, name: str) -> str | None:
    """What the licence field of a base model says; none for a folder that was never added."""
    return next((entry.licence for entry in list_base_models(ctx) if entry.name == name), None)


def _entry(row: Row) -> BaseModelEntry:
    return BaseModelEntry(
        name=row.name,
        family=row.family,
        architecture=row.architecture,
        task="text-generation",
        parameters_b=row.parameters / 1e9,
        context=row.context,
        methods=["lora", "full"],
        licence=row.licence,
        repo=None,
        available=Path(row.path).exists(),
    )


def _starter_entry() -> BaseModelEntry:
    folder = inspect_folder(MODEL_FOLDER)
    return BaseModelEntry(
        name=MODEL_NAME,
        family=folder.family,
        architecture=folder.architecture,
        task="text-generation",
        parameters_b=folder.parameters / 1e9,
        context=folder.limit,
        methods=["lora", "full"],
        licence="Apache-2.0",
        repo=None,
        available=True,
        note="Ships with Tunery for trying everything in minutes; too small for real use.",
    )
