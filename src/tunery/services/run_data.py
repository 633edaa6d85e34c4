"""The datasets a run names, looked up on the server: their facts, their manifests, and quick looks at their rows."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import Row, select

from tunery.core.errors import Problem
from tunery.data import general
from tunery.data.estimate import Rows, Sampled, TestRows, look_for_leaks, sample_tokens
from tunery.data.leaks import Role
from tunery.data.select import LONGEST_VALIDATION
from tunery.data.store import VersionReader
from tunery.db.tables import dataset, dataset_version
from tunery.models.folder import ModelFolder
from tunery.models.lengths import token_length
from tunery.schemas.recipe import LeakReport
from tunery.schemas.run import DataRef, RunSpec, TrainRef
from tunery.services import datasets
from tunery.services.context import Context
from tunery.services.recipe import NO_REPLAY, DataFacts, Replay, shipped_facts


@dataclass(frozen=True)
class RunData:
    """What a spec names, pinned to versions."""

    spec: RunSpec
    train: list[DataFacts]
    validation: DataFacts | None
    held_out: DataFacts | None
    general: DataFacts | None
    manifests: Mapping[str, str]
    """By label; the shipped general corpus has none."""
    replay: Replay = NO_REPLAY
    """What is mixed in again of an earlier run's rows …"""
    earlier: dict[str, Any] | None = None
    """… and how they are found when they are laid out."""

    def inputs(self) -> dict[str, Any]:
        """The manifests, as a run keeps them."""

        def manifest(one: DataFacts | None) -> str | None:
            return None if one is None else self.manifests.get(one.label)

        return {
            "train": [manifest(one) for one in self.train],
            "validation": manifest(self.validation),
            "held_out": manifest(self.held_out),
            "general": manifest(self.general),
            "earlier": self.earlier,
        }


def look_up(ctx: Context, spec: RunSpec) -> RunData:
    """Find every dataset of a spec. Raises Problem `not_found`, `version_not_published`, `no_general_corpus` …"""
    train = [_version(ctx, ref) for ref in spec.data.train]
    validation = None if spec.data.validation is None else _version(ctx, spec.data.validation)
    held_out = None if spec.evaluate.dataset is None else _version(ctx, spec.evaluate.dataset)
    corpus, corpus_manifest = _corpus(ctx, spec, train)
    data = spec.data.model_copy(
        update={
            "train": [_pin_train(ref, row) for ref, row in zip(spec.data.train, train, strict=True)],
            "validation": None if validation is None else _pin(validation),
        }
    )
    evaluate = spec.evaluate.model_copy(update={"dataset": None if held_out is None else _pin(held_out)})
    rows = [*train, *(row for row in (validation, held_out) if row is not None)]
    manifests = {f"{row.name}@{row.version}": row.manifest for row in rows}
    if corpus is not None and corpus_manifest is not None:
        manifests[corpus.label] = corpus_manifest
    return RunData(
        spec=spec.model_copy(update={"data": data, "evaluate": evaluate}),
        train=[facts_of(ctx, row) for row in train],
        validation=None if validation is None else facts_of(ctx, validation),
        held_out=None if held_out is None else facts_of(ctx, held_out),
        general=corpus,
        manifests=manifests,
    )


def measured(ctx: Context, found: RunData, base: ModelFolder, *, everything: bool) -> RunData:
    """The same with tokens counted on a sample: of plain text files, or of `everything`."""

    def measure(one: DataFacts) -> DataFacts:
        if not everything and not one.text_rows:
            return one
        return one.sampled(_sample(ctx, found, one, base))

    corpus = None if found.general is None else measure(found.general)
    again = replace(found.replay, facts=[measure(one) for one in found.replay.facts])
    return replace(found, train=[measure(one) for one in found.train], general=corpus, replay=again)


def leaks_of(ctx: Context, found: RunData) -> LeakReport | None:
    """A quick look for test rows among the training rows."""
    tests: list[tuple[Role, DataFacts, int]] = []
    if found.validation is not None:
        tests.append(("validation", found.validation, LONGEST_VALIDATION))
    if found.held_out is not None:
        tests.append(("held_out", found.held_out, found.spec.evaluate.max_rows))
    if not tests:
        return None
    key = (
        *((one.label, one.content_hash) for one in found.train),
        *((role, one.label, one.content_hash, most) for role, one, most in tests),
    )
    known = _LEAKS.get(key)
    if known is None:
        train = {one.label: rows_of(ctx, found, one) for one in found.train}
        known = look_for_leaks(
            train, [TestRows(role, one.label, rows_of(ctx, found, one), most) for role, one, most in tests]
        )
        if len(_LEAKS) >= _REMEMBERED:
            _LEAKS.clear()
        _LEAKS[key] = known
    return known


_REMEMBERED = 64
_LEAKS: dict[tuple[tuple[Any, ...], ...], LeakReport | None] = {}
_SAMPLED: dict[tuple[str, str], Sampled] = {}
"""Versions don't change, so what was found stays right; a form asks again at every key."""


def rows_of(ctx: Context, found: RunData, one: DataFacts) -> Rows:
    """A dataset's rows."""
    manifest = found.manifests.get(one.label)
    return general.shipped(one.row_kind) if manifest is None else VersionReader(ctx.blobs, manifest)


def _sample(ctx: Context, found: RunData, one: DataFacts, base: ModelFolder) -> Sampled:
    key = (one.content_hash, str(base.path))
    known = _SAMPLED.get(key)
    if known is None:
        known = sample_tokens(rows_of(ctx, found, one), token_length(base.path))
        if len(_SAMPLED) >= _REMEMBERED:
            _SAMPLED.clear()
        _SAMPLED[key] = known
    return known


def _corpus(ctx: Context, spec: RunSpec, train: Sequence[Row[Any]]) -> tuple[DataFacts | None, str | None]:
    """The general corpus that a spec asks for: its facts, and its manifest where it isn't the shipped one."""
    mix = spec.data.mix
    if mix is None:
        return None, None
    designated, _, number = ctx.settings.general_corpus.partition("@")
    name = mix.dataset or designated
    version = mix.version if mix.dataset else int(number) if number else None
    if name and name != general.NAME:
        row = _version(ctx, DataRef(dataset=name, version=version))
        return facts_of(ctx, row), row.manifest
    return shipped_facts(spec.method, train[0].row_kind), None


def _version(ctx: Context, ref: DataRef) -> Row[Any]:
    if ref.dataset is None:
        raise Problem(
            "spec_invalid", detail=f"A run on the server needs datasets by name, not the path {ref.path}."
        )
    found = datasets.version_row(ctx, ref.dataset, ref.version, published=True)
    return ctx.conn.execute(
        select(dataset_version, dataset.c.name)
        .join(dataset, dataset.c.id == dataset_version.c.dataset_id)
        .where(dataset_version.c.id == found.id)
    ).one()


def _pin(row: Row[Any]) -> DataRef:
    return DataRef(dataset=row.name, version=row.version)


def _pin_train(ref: TrainRef, row: Row[Any]) -> TrainRef:
    return ref.model_copy(update={"dataset": row.name, "version": row.version})


def facts_of(ctx: Context, row: Row[Any]) -> DataFacts:
    report = row.report or {}
    return DataFacts(
        f"{row.name}@{row.version}",
        row.format,
        row.row_kind,
        row.rows,
        row.content_hash,
        row.characters,
        report.get("text_rows", 0),
        report.get("text_characters", 0),
        images=row.manifest is not None
        and VersionReader(ctx.blobs, row.manifest).manifest.images is not None,
    )
