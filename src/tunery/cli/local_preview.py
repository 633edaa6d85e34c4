"""What a local run would learn from: its files read and its spec resolved, nothing laid out, nothing trained."""

import tempfile
from pathlib import Path

from tunery.cli.local_data import CheckedFiles, checked_files
from tunery.core.settings import ServerSettings
from tunery.models.folder import ModelFolder, inspect_folder
from tunery.schemas.recipe import RecipePreview
from tunery.schemas.run import ResolvedSpec, RunSpec
from tunery.services.recipe import preview_of
from tunery.services.resolve import resolve


def preview(spec: RunSpec, *, accept_bad_rows: bool) -> RecipePreview:
    """Read every file and tell what the recipe comes to. Raises the Problem that training would."""
    base = inspect_folder(Path(spec.base_model))
    with (
        tempfile.TemporaryDirectory(prefix="tunery-") as scratch,
        checked_files(spec, Path(scratch), accept_bad_rows=accept_bad_rows) as read,
    ):
        files = read.measured(base.path)
        return preview_of(
            resolve_files(spec, base, files),
            train=[one.facts for one in files.train],
            general=files.general,
            validation=files.validation and files.validation.facts,
            minimum_rows=ServerSettings().minimum_rows,
            leaks=files.leaks(spec.evaluate.max_rows),
        )


def resolve_files(spec: RunSpec, base: ModelFolder, files: CheckedFiles) -> ResolvedSpec:
    """The resolved spec, but for the hash of the base model: that reads all weights. Raises Problem."""
    return resolve(
        spec,
        base=base,
        base_hash="",
        train=[one.facts for one in files.train],
        validation=files.validation and files.validation.facts,
        held_out=files.held_out and files.held_out.facts,
        general=files.general,
        minimum_rows=ServerSettings().minimum_rows,
        leaks=files.leaks(spec.evaluate.max_rows),
    )
