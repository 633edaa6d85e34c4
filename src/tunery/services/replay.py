"""What an earlier run learnt from, looked up again to be mixed in: by its frozen recipe, whatever it left behind."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import select

from tunery.core.errors import Problem, Where
from tunery.data import general
from tunery.db.tables import dataset, dataset_version, run
from tunery.methods.point import METHODS
from tunery.schemas.continuing import DEFAULT_REPLAY
from tunery.schemas.run import ResolvedSpec
from tunery.services import recipe
from tunery.services.context import Context
from tunery.services.continuing import Start
from tunery.services.recipe import NO_REPLAY, DataFacts, Replay, shipped_facts
from tunery.services.run_data import RunData, facts_of


@dataclass(frozen=True)
class _Learnt:
    """What one run learnt from."""

    facts: list[DataFacts]
    manifests: dict[str, str]
    inputs: dict[str, Any]


def added(ctx: Context, found: RunData, start: Start) -> tuple[RunData, str | None]:
    """A run's data with rows of the earlier run, and why there are none where nobody asked for none.

    What the run learns from anyway is left out. Raises Problem `replay_rows_gone`; `setting_without_effect` where a
    share was asked for and nothing fits.
    """
    wanted = found.spec.continue_from
    assert wanted is not None
    share = DEFAULT_REPLAY if wanted.replay is None else wanted.replay
    replay, learnt, left_out = NO_REPLAY, None, None
    if share:
        learnt = _learnt(ctx, start.continued.name, start.earlier)
        chosen, left_out = _fitting(learnt.facts, found)
        if left_out and wanted.replay:
            raise Problem(
                "setting_without_effect",
                where=Where(field="continue_from.replay"),
                name="continue_from.replay",
                reason=left_out,
            )
        if chosen:
            replay = Replay(chosen, share, start.earlier.recipe_hash)
    exact = wanted.model_copy(update={"replay": replay.share})
    return replace(
        found,
        spec=found.spec.model_copy(update={"continue_from": exact}),
        manifests={**(learnt.manifests if learnt else {}), **found.manifests},
        replay=replay,
        earlier=learnt.inputs if learnt and replay.facts else None,
    ), left_out


def _fitting(learnt: Sequence[DataFacts], found: RunData) -> tuple[list[DataFacts], str | None]:
    """What the run can learn from and doesn't anyway; or why there is nothing."""
    method = METHODS.load(found.spec.method)
    fitting = [one for one in learnt if one.row_kind in method.TAKES]
    own = {one.label for one in (*found.train, *([found.general] if found.general else []))}
    chosen = [one for one in fitting if one.label not in own]
    if chosen:
        return chosen, None
    return (
        [],
        "this run learns from the same data" if fitting else f"{method.TITLE} can't learn from such rows",
    )


def _learnt(ctx: Context, name: str, resolved: ResolvedSpec) -> _Learnt:
    """What a run learnt from, by dataset; how many rows of each is estimated."""
    data, hashes = resolved.spec.data, resolved.data_hashes
    manifests: dict[str, str] = {}

    def facts(label: str) -> DataFacts:
        one, manifest = _by_hash(ctx, label, hashes[label], name)
        manifests[label] = manifest
        return one

    train = [facts(ref.label) for ref in data.train]
    corpus: DataFacts | None = None
    if data.mix is not None:
        ships = data.mix.dataset == general.NAME
        corpus = shipped_facts(resolved.spec.method, train[0].row_kind) if ships else facts(data.mix.label)
    nested = _nested(ctx, resolved)
    again = NO_REPLAY
    if nested is not None and resolved.continues is not None and resolved.spec.continue_from is not None:
        kept = [one for one in nested.facts if one.label in resolved.continues.replayed]
        again = Replay(kept, resolved.spec.continue_from.replay or 0.0)
        manifests = {**nested.manifests, **manifests}
    everything = [*train, *([corpus] if corpus else []), *again.facts]
    named = None if data.validation is None else DataFacts(data.validation.label, "", "conversation", 0, "")
    parts = recipe.parts_of(data, train, corpus, again)
    counts = recipe.counts_of(parts, resolved.spec.settings, named)
    part = counts.train / max(1, counts.sampled)
    return _Learnt(
        facts=[
            replace(
                one,
                rows=round(part * each.rows),
                characters=round(part * each.characters),
                text_rows=0,
                text_characters=0,
            )
            for one, each in zip(everything, parts, strict=True)
        ],
        manifests=manifests,
        inputs={
            "resolved": resolved.model_dump(mode="json"),
            "train": [manifests[ref.label] for ref in data.train],
            "general": manifests.get(data.mix.label) if data.mix else None,
            "earlier": nested.inputs if nested else None,
        },
    )


def _nested(ctx: Context, resolved: ResolvedSpec) -> _Learnt | None:
    """What the run's own earlier run learnt from, where some of that was mixed in."""
    continued = resolved.continues
    if continued is None or not continued.replayed:
        return None
    stored = ctx.conn.scalars(select(run.c.resolved).where(run.c.id == continued.run)).one()
    return _learnt(ctx, continued.name, ResolvedSpec.model_validate(stored))


def _by_hash(ctx: Context, label: str, content_hash: str, name: str) -> tuple[DataFacts, str]:
    """The dataset version that has this content, under whatever name, and its manifest."""
    row = ctx.conn.execute(
        select(dataset_version, dataset.c.name)
        .join(dataset, dataset.c.id == dataset_version.c.dataset_id)
        .where(
            dataset_version.c.project_id == ctx.project,
            dataset_version.c.content_hash == content_hash,
            dataset_version.c.state == "published",
            dataset_version.c.manifest.is_not(None),
            dataset.c.deleted.is_(None),
        )
        .order_by(dataset_version.c.created)
        .limit(1)
    ).one_or_none()
    if row is None:
        raise Problem("replay_rows_gone", where=Where(field="continue_from"), dataset=label, run=name)
    return replace(facts_of(ctx, row), label=label), row.manifest
