"""Lays out a run's rows where its engines read them: from the blob store's versions."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from tunery.blobs.point import BlobStore
from tunery.core.attempt import run_data_folder, run_folder
from tunery.data import general
from tunery.data.laid_out import Earlier, Sources, lay_out_held_out, lay_out_training, read_report
from tunery.data.leaks import messages
from tunery.data.replay import Rows
from tunery.data.store import VersionReader
from tunery.jobs import stages
from tunery.jobs.work import Work
from tunery.models.lengths import token_length
from tunery.schemas.recipe import RecipeReport
from tunery.schemas.run import ResolvedSpec


def training_rows(work: Work, inputs: dict[str, Any], resolved: ResolvedSpec) -> tuple[Path, Path | None]:
    """Paths of the training rows and, where there are any, of the validation rows."""
    assert work.claim.run is not None
    folder = run_data_folder(work.settings.folder, work.claim.run)
    told = read_report(folder) is not None
    laid_out = lay_out_training(folder, sources_of(work.blobs, inputs, resolved), resolved)
    report = read_report(folder)
    if report is not None and not told:
        with work.writing() as connection:
            for line in _in_words(report):
                stages.note(connection, work.claim.project, work.claim.run, line)
    return laid_out


def sources_of(blobs: BlobStore, inputs: dict[str, Any], resolved: ResolvedSpec) -> Sources:
    """The rows that a resolved spec names, by the manifests fixed with it."""

    def version(manifest: str | None) -> VersionReader | None:
        return None if manifest is None else VersionReader(blobs, manifest)

    joins = resolved.spec.settings.get("pseudo_multi_turn_probability", 0) > 0
    return replace(
        _learnt(blobs, inputs, resolved),
        validation=version(inputs["validation"]),
        held_out=version(inputs["held_out"]),
        length=token_length(Path(inputs["base_model"])) if joins else None,
    )


def _learnt(blobs: BlobStore, inputs: dict[str, Any], resolved: ResolvedSpec) -> Sources:
    """The rows that a run learns from; of an earlier run, where it goes on from one, what that learnt from."""
    train = [VersionReader(blobs, manifest) for manifest in inputs["train"]]
    corpus: Rows | None = None
    if inputs.get("general") is not None:
        corpus = VersionReader(blobs, inputs["general"])
    elif resolved.spec.data.mix is not None:
        corpus = general.shipped(train[0].manifest.row_kind)
    before = inputs.get("earlier")
    if before is None:
        return Sources(train, general=corpus)
    earlier = ResolvedSpec.model_validate(before["resolved"])
    return Sources(train, general=corpus, earlier=Earlier(earlier, _learnt(blobs, before, earlier)))


def _in_words(report: RecipeReport) -> list[str]:
    """What the rows came to, for the run's log."""
    rows = report.rows
    aside = (
        f" {rows.set_aside:,} rows were set aside for validation; {rows.returned:,} of them went back to training."
        if rows.returned
        else ""
    )
    joined = f" {rows.joined:,} rows were joined to others." if rows.joined else ""
    counts = f"{rows.train:,} training rows, {rows.validation:,} validation rows.{aside}{joined}"
    return [counts, *messages(report.leaks)]


def started_from(work: Work, run: str, resolved: ResolvedSpec) -> str | None:
    """Folder of the earlier model that a run goes on from."""
    return str(run_folder(work.settings.folder, run).start) if resolved.continues else None


def held_out_rows(work: Work, inputs: dict[str, Any], resolved: ResolvedSpec) -> Path:
    """Path of the rows to judge on: the first `evaluate.max_rows`."""
    assert work.claim.run is not None
    version = VersionReader(work.blobs, inputs["held_out"])
    folder = run_data_folder(work.settings.folder, work.claim.run)
    return lay_out_held_out(folder, version, resolved.spec.evaluate.max_rows)
