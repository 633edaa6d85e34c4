"""Lays out a run's rows where its engines read them: from the blob store's versions."""

from pathlib import Path
from typing import Any

from tunery.core.attempt import run_data_folder
from tunery.data.laid_out import lay_out_held_out, lay_out_training
from tunery.data.store import VersionReader
from tunery.jobs.work import Work
from tunery.schemas.run import ResolvedSpec


def training_rows(work: Work, inputs: dict[str, Any], resolved: ResolvedSpec) -> tuple[Path, Path | None]:
    """Paths of the training rows and, where there are any, of the validation rows."""
    assert work.claim.run is not None
    versions = [VersionReader(work.blobs, manifest) for manifest in inputs["train"]]
    named = None if inputs["validation"] is None else VersionReader(work.blobs, inputs["validation"])
    folder = run_data_folder(work.settings.folder, work.claim.run)
    return lay_out_training(folder, versions, named, resolved.spec.settings)


def held_out_rows(work: Work, inputs: dict[str, Any], resolved: ResolvedSpec) -> Path:
    """Path of the rows to judge on: the first `evaluate.max_rows`."""
    assert work.claim.run is not None
    version = VersionReader(work.blobs, inputs["held_out"])
    folder = run_data_folder(work.settings.folder, work.claim.run)
    return lay_out_held_out(folder, version, resolved.spec.evaluate.max_rows)
