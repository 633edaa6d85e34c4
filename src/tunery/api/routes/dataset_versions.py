"""What is found out about versions: statistics, differences; and their deletion."""

from typing import Annotated

from fastapi import APIRouter, Path, Query

from tunery.api.paging import Offset, Version
from tunery.api.session import Reading, Writing
from tunery.schemas.dataset import DatasetVersion
from tunery.schemas.statistics import (
    ChangeKind,
    ChangePage,
    Comparison,
    ComparisonRequest,
    Statistics,
    StatisticsRequest,
)
from tunery.services import comparisons, dataset_deletion, statistics

router = APIRouter(prefix="/datasets")
Number = Annotated[int, Path(ge=1, le=2**31 - 1, description="Version number.")]


@router.post("/{dataset}/versions/{version}/statistics", status_code=202)
def compute_statistics(ctx: Writing, dataset: str, version: Version, body: StatisticsRequest) -> Statistics:
    """Compute a version's statistics. The result is stored and returned at once the next time."""
    return statistics.ask(ctx, dataset, version, body)


@router.get("/{dataset}/versions/{version}/statistics")
def get_statistics(
    ctx: Reading,
    dataset: str,
    version: Version,
    base_model: Annotated[
        str | None,
        Query(description="Base model whose tokens are counted; none = that of the newest statistics."),
    ] = None,
    length: Annotated[
        int | None, Query(ge=1, le=2**31, description="Count the rows that are longer than this many tokens.")
    ] = None,
) -> Statistics:
    """The statistics of a version, or how far they are."""
    return statistics.need(ctx, dataset, version, base_model, length)


@router.delete("/{dataset}/versions/{version}")
def delete_dataset_version(
    ctx: Writing,
    dataset: str,
    version: Version,
    even_if_used: Annotated[
        bool, Query(description="Delete the rows even if a model was trained on them.")
    ] = False,
) -> DatasetVersion:
    """Delete the rows of a version. Its number and hash are kept."""
    return dataset_deletion.delete_version(ctx, dataset, version, even_if_used=even_if_used)


@router.post("/{dataset}/comparisons", status_code=202)
def compare_versions(ctx: Writing, dataset: str, body: ComparisonRequest) -> Comparison:
    """Compare two versions row by row. The result is stored."""
    return comparisons.ask(ctx, dataset, body)


@router.get("/{dataset}/comparisons/{old}/{new}")
def get_comparison(ctx: Reading, dataset: str, old: Number, new: Number) -> Comparison:
    """How many rows were changed, added, removed or kept; or the progress of the comparison."""
    return comparisons.need(ctx, dataset, old, new)


@router.get("/{dataset}/comparisons/{old}/{new}/changes")
def list_changes(
    ctx: Reading,
    dataset: str,
    old: Number,
    new: Number,
    kind: Annotated[ChangeKind, Query(description="Which rows to return.")] = "changed",
    offset: Offset = 0,
    limit: Annotated[int, Query(ge=1, le=200, description="The most rows to return.")] = 20,
) -> ChangePage:
    """Rows of a comparison, those of both versions side by side."""
    return comparisons.changes(ctx, dataset, old, new, kind=kind, offset=offset, limit=limit)
