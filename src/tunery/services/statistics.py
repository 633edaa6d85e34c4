"""Statistics of a version: asked for, looked at, and the share of rows that a length would cut."""

from typing import Any

from sqlalchemy import Row

from tunery.core.errors import Problem
from tunery.data.lengths import cut_at
from tunery.data.statistics import REVISION
from tunery.schemas.statistics import Statistics, StatisticsRequest, VersionStatistics
from tunery.services import analyses
from tunery.services.analyses import Analysis
from tunery.services.context import Context
from tunery.services.datasets import version_with_rows
from tunery.services.tokenizers import ModelTokenizer, need_template, tokenizer_of

_KIND = "statistics"


def ask(ctx: Context, dataset: str, version: int, body: StatisticsRequest) -> Statistics:
    """The statistics, or the task that computes them; queued where nobody asked before.

    Raises Problem `unknown_base_model`, `no_chat_template` …
    """
    row = version_with_rows(ctx, dataset, version)
    payload = {"manifest": row.manifest, "base_model": None, "path": None, "revision": REVISION}
    tokenizer = None
    if body.base_model is not None:
        tokenizer = tokenizer_of(ctx, body.base_model)
        if row.row_kind in ("conversation", "preference", "labelled"):
            need_template(tokenizer)
        payload |= {"base_model": body.base_model, "path": str(tokenizer.folder.path)}
    found = analyses.ask(ctx, _KIND, _subject(row, tokenizer), row.content_hash, payload)
    return _statistics(dataset, row, found, None)


def get(
    ctx: Context, dataset: str, version: int, base_model: str | None = None, length: int | None = None
) -> Statistics | None:
    """The statistics with this tokenizer, or how far they are; with the share of rows that `length` tokens cut.

    Without a tokenizer, the newest there are. None where nobody asked for them.
    """
    row = version_with_rows(ctx, dataset, version)
    found = _find(ctx, row, base_model)
    return None if found is None else _statistics(dataset, row, found, length)


def need(
    ctx: Context, dataset: str, version: int, base_model: str | None = None, length: int | None = None
) -> Statistics:
    """As `get`. Raises Problem `not_computed` where nobody asked for them."""
    found = get(ctx, dataset, version, base_model, length)
    if found is None:
        raise not_computed("The content", dataset, version, base_model)
    return found


def facts_blob(ctx: Context, row: Row[Any], base_model: str | None) -> str | None:
    """Blob of what is known of each row of a version; None until its statistics are there."""
    found = _find(ctx, row, base_model)
    return None if found is None else found.detail


def not_computed(what: str, dataset: str, version: int, base_model: str | None) -> Problem:
    """The refusal of what only statistics can tell."""
    how = f" (base model {base_model})" if base_model else ""
    return Problem("not_computed", what=what, dataset=dataset, version=version, how=how)


def _find(ctx: Context, row: Row[Any], base_model: str | None) -> Analysis | None:
    if base_model is not None:
        return analyses.find(ctx, _KIND, _subject(row, tokenizer_of(ctx, base_model)))
    about = analyses.about(ctx, _KIND, row.content_hash)
    current = [found for found in about if found.payload["revision"] == REVISION]
    return next((found for found in current if found.state == "done"), current[0] if current else None)


def _subject(row: Row[Any], tokenizer: ModelTokenizer | None) -> str:
    digest = None if tokenizer is None else tokenizer.digest
    return analyses.subject_of(revision=REVISION, content=row.content_hash, tokenizer=digest)


def _statistics(dataset: str, row: Row[Any], found: Analysis, length: int | None) -> Statistics:
    cut = None
    if found.result is not None and found.payload["base_model"] and length is not None:
        cut = cut_at(found.result["lengths"], length)
    return Statistics(
        dataset=dataset,
        version=row.version,
        content_hash=row.content_hash,
        base_model=found.payload["base_model"],
        computed=found.computed,
        found=None if found.result is None else VersionStatistics.model_validate(found.result["found"]),
        cut=cut,
        **found.status,
    )
