"""The views of one dataset that show what was found out: statistics and differences; and deleting versions."""

from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import Form, Path
from starlette.responses import Response

from tunery.core.errors import Problem
from tunery.schemas.dataset import DatasetVersion
from tunery.schemas.statistics import ComparisonRequest, LengthSummary, StatisticsRequest
from tunery.services import comparisons, dataset_deletion, datasets, garbage, statistics
from tunery.services.context import Context
from tunery.web.page import Visitor, room
from tunery.web.rooms.dataset_rows import PAGE, Asked, models_here

router = room()
Number = Annotated[int, Path(ge=1, le=2**31 - 1)]
CHART_WIDTH, CHART_HEIGHT = 720, 150
_GAP = 2


def statistics_values(ctx: Context, dataset: str, version: DatasetVersion, asked: Asked) -> dict[str, Any]:
    """What the view of statistics shows."""
    values: dict[str, Any] = {"models": models_here(ctx), "statistics": None, "refused": None, "charts": []}
    try:
        found = statistics.get(ctx, dataset, version.version, asked.base, asked.length)
    except Problem as problem:
        return values | {"refused": problem}
    if found is not None and found.found is not None:
        lengths = found.found
        values["charts"] = [
            (unit, summary, bars(summary))
            for unit, summary in (("tokens", lengths.tokens), ("characters", lengths.characters))
            if summary is not None
        ]
    if found is not None and found.error is not None:
        values["refused"] = Problem.from_dict(found.error)
    return values | {"statistics": found}


def bars(summary: LengthSummary) -> list[dict[str, Any]]:
    """The histogram as rectangles of one drawing."""
    highest = max((bar.rows for bar in summary.bars), default=1)
    width = CHART_WIDTH / max(len(summary.bars), 1)
    drawn: list[dict[str, Any]] = []
    for place, bar in enumerate(summary.bars):
        # One row among a million is still to be seen.
        height = max(round(bar.rows / highest * CHART_HEIGHT, 1), 1.5) if bar.rows else 0
        drawn.append(
            {
                "x": round(place * width + _GAP / 2, 1),
                "y": CHART_HEIGHT - height,
                "width": round(max(width - _GAP, 1), 1),
                "height": height,
                "bar": bar,
            }
        )
    return drawn


def comparison_values(ctx: Context, dataset: str, version: DatasetVersion, asked: Asked) -> dict[str, Any]:
    """What the view of differences shows."""
    others = [
        one.version
        for one in datasets.list_versions(ctx, dataset)
        if one.state in ("draft", "published") and one.version != version.version
    ]
    old = asked.old if asked.old in others else next((n for n in others if n < version.version), None)
    old = old or (others[0] if others else None)
    values: dict[str, Any] = {
        "others": others,
        "old": old,
        "comparison": None,
        "changes": None,
        "refused": None,
        "kind": asked.kind,
    }
    if old is None:
        return values
    found = comparisons.get(ctx, dataset, old, version.version)
    if found is not None and found.counts is not None:
        values["changes"] = comparisons.changes(
            ctx, dataset, old, version.version, kind=asked.kind, offset=asked.offset, limit=PAGE
        )
    if found is not None and found.error is not None:
        values["refused"] = Problem.from_dict(found.error)
    return values | {"comparison": found}


@router.post("/datasets/{dataset}/versions/{version}/statistics")
def compute(visit: Visitor, dataset: str, version: Number, base: Annotated[str, Form()] = "") -> Response:
    """Have a version measured."""
    with visit.writing() as ctx:
        found = datasets.get_dataset(ctx, dataset)
        statistics.ask(ctx, found.id, version, StatisticsRequest(base_model=base or None))
    return visit.go(_address(found.name, version, tab="statistics", base=base))


@router.post("/datasets/{dataset}/versions/{version}/compare")
def compare(visit: Visitor, dataset: str, version: Number, old: Annotated[int, Form(ge=1)]) -> Response:
    """Have a version compared with another."""
    with visit.writing() as ctx:
        found = datasets.get_dataset(ctx, dataset)
        comparisons.ask(ctx, found.id, ComparisonRequest(old=old, new=version))
    return visit.go(_address(found.name, version, tab="compare", old=old))


@router.post("/datasets/{dataset}/versions/{version}/delete")
def delete(
    visit: Visitor, dataset: str, version: Number, even_if_used: Annotated[bool, Form()] = False
) -> Response:
    """Delete the rows of a version."""
    with visit.writing() as ctx:
        found = datasets.get_dataset(ctx, dataset)
        dataset_deletion.delete_version(ctx, found.name, version, even_if_used=even_if_used)
    return visit.go(f"/datasets/{found.name}?tab=versions")


@router.post("/datasets/{dataset}/collect")
def collect(visit: Visitor, dataset: str) -> Response:
    """Free the bytes of what was deleted."""
    with visit.writing() as ctx:
        found = datasets.get_dataset(ctx, dataset)
        garbage.collect(ctx)
    return visit.go(f"/datasets/{found.name}?tab=versions")


def _address(dataset: str, version: int, **asked: Any) -> str:
    given = {name: value for name, value in {"version": version, **asked}.items() if value != ""}
    return f"/datasets/{dataset}?{urlencode(given)}"
