"""How one version of a dataset differs from another: asked for, counted, and row by row."""

from typing import Any

import orjson
from sqlalchemy import Row

from tunery.core.errors import Problem
from tunery.data.difference import REVISION, read_pairs
from tunery.data.store import VersionReader
from tunery.schemas.statistics import (
    Change,
    ChangeKind,
    ChangePage,
    Comparison,
    ComparisonCounts,
    ComparisonRequest,
)
from tunery.services import analyses
from tunery.services.analyses import Analysis
from tunery.services.context import Context
from tunery.services.datasets import version_with_rows

_KIND = "comparison"


def ask(ctx: Context, dataset: str, body: ComparisonRequest) -> Comparison:
    """The comparison, or the task that makes it; queued where nobody asked before."""
    old, new = _versions(ctx, dataset, body.old, body.new)
    payload = {"old": old.manifest, "new": new.manifest}
    found = analyses.ask(ctx, _KIND, _subject(old, new), new.content_hash, payload)
    return _comparison(dataset, old, new, found)


def get(ctx: Context, dataset: str, old: int, new: int) -> Comparison | None:
    """A comparison, or how far it is; None where nobody asked for it."""
    rows = _versions(ctx, dataset, old, new)
    found = analyses.find(ctx, _KIND, _subject(*rows))
    return None if found is None else _comparison(dataset, *rows, found)


def need(ctx: Context, dataset: str, old: int, new: int) -> Comparison:
    """As `get`. Raises Problem `not_compared` where nobody asked for it."""
    found = get(ctx, dataset, old, new)
    if found is None:
        raise Problem("not_compared", dataset=dataset, old=old, new=new)
    return found


def changes(
    ctx: Context, dataset: str, old: int, new: int, *, kind: ChangeKind, offset: int = 0, limit: int = 20
) -> ChangePage:
    """Rows of one kind. Raises Problem `not_compared` until the comparison is there."""
    before, after = _versions(ctx, dataset, old, new)
    found = analyses.find(ctx, _KIND, _subject(before, after))
    if found is None or found.result is None or found.detail is None:
        raise Problem("not_compared", dataset=dataset, old=old, new=new)
    counts = ComparisonCounts.model_validate(found.result)
    with ctx.blobs.open(found.detail) as file:
        pairs = read_pairs(file, counts, kind, offset, limit)
    old_lines = _lines(ctx, before, [number for number, _ in pairs if number is not None])
    new_lines = _lines(ctx, after, [number for _, number in pairs if number is not None])
    return ChangePage(
        changes=[
            Change(
                kind=kind,
                old=None if one is None else one + 1,
                new=None if other is None else other + 1,
                old_row=None if one is None else old_lines[one],
                new_row=None if other is None else new_lines[other],
            )
            for one, other in pairs
        ],
        offset=offset,
        total=getattr(counts, kind),
    )


def _lines(ctx: Context, row: Row[Any], numbers: list[int]) -> dict[int, dict[str, Any]]:
    rising = sorted(numbers)
    lines = VersionReader(ctx.blobs, row.manifest).pick(rising)
    return {number: orjson.loads(line) for number, line in zip(rising, lines, strict=True)}


def _versions(ctx: Context, dataset: str, old: int, new: int) -> tuple[Row[Any], Row[Any]]:
    return version_with_rows(ctx, dataset, old), version_with_rows(ctx, dataset, new)


def _subject(old: Row[Any], new: Row[Any]) -> str:
    return analyses.subject_of(revision=REVISION, old=old.content_hash, new=new.content_hash)


def _comparison(dataset: str, old: Row[Any], new: Row[Any], found: Analysis) -> Comparison:
    return Comparison(
        dataset=dataset,
        old=old.version,
        new=new.version,
        counts=None if found.result is None else ComparisonCounts.model_validate(found.result),
        **found.status,
    )
