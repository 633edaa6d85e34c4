"""Datasets: the list, the upload, and one dataset with its report, rows and versions."""

from collections.abc import Iterator
from typing import Annotated, Literal

from fastapi import Path, Query
from starlette.responses import Response, StreamingResponse

from tunery.core.errors import Problem
from tunery.schemas.dataset import Dataset, DatasetVersion
from tunery.schemas.task import Task
from tunery.services import datasets, extensions, tasks, uploads
from tunery.services.context import Context
from tunery.web.nav import Nav
from tunery.web.page import Visitor, room
from tunery.web.rooms.dataset_findings import comparison_values, statistics_values
from tunery.web.rooms.dataset_rows import PAGE, Asked, rows_values, seen_values
from tunery.web.rooms.imports import report_values
from tunery.web.rooms.preset_data import preset_values

NAV = Nav(1, "Datasets", "/datasets", "data", also=("/connections",))
router = room()
_LIST = 50

Tab = Literal["rows", "statistics", "seen", "compare", "report", "versions"]
_VIEWS = {
    "rows": rows_values,
    "seen": seen_values,
    "statistics": statistics_values,
    "compare": comparison_values,
}


@router.get("/datasets")
def overview(visit: Visitor, after: str | None = None) -> Response:
    """All datasets, newest first."""
    with visit.reading() as ctx:
        page = datasets.list_datasets(ctx, _LIST, after)
    return visit.page("datasets.html", page=page, after=after)


@router.get("/datasets/new")
def new(visit: Visitor, name: str = "") -> Response:
    """The upload. For a known dataset the names its newest version was read with are offered."""
    server = visit.request.app.state.tunery
    with visit.reading() as ctx:
        waiting = uploads.list_uploads(ctx, server.writers, fingerprint=None).data
        before = datasets.find_dataset(ctx, name) and datasets.get_version(ctx, name).options
        ready_made = preset_values(ctx)
    return visit.page(
        "dataset_new.html",
        formats=extensions.formats(),
        limit=server.settings.max_upload_bytes,
        name=name,
        waiting=waiting,
        before=before,
        **ready_made,
    )


@router.get("/datasets/{dataset}")
def one(
    visit: Visitor,
    dataset: str,
    tab: Tab | None = None,
    version: Annotated[int | None, Query(ge=1)] = None,
    offset: Annotated[int, Query(ge=0)] = 0,
    rule: Annotated[str | None, Query(max_length=64)] = None,
) -> Response:
    """One dataset, at one of its versions."""
    asked = Asked.of(visit.request.query_params)
    with visit.reading() as ctx:
        found = datasets.get_dataset(ctx, dataset)
        shown = _shown(ctx, found, version)
        bad = bool(shown and shown.report and shown.report.rows_rejected)
        cleaned = bool(shown and shown.cleaning and shown.state == "draft")
        tab = tab or ("report" if bad or cleaned or (shown and shown.state == "failed") else "rows")
        values = {
            "dataset": found,
            "shown": shown,
            "tab": tab,
            "size": PAGE,
            "versions": datasets.list_versions(ctx, found.id),
            "task": _task(ctx, found),
            "asked": asked,
        }
        if shown and shown.state in ("draft", "published") and tab in _VIEWS:
            values |= _VIEWS[tab](ctx, found.id, shown, asked)
        if tab == "report" and shown:
            values |= report_values(ctx, found.id, shown.version, offset, rule)
    return visit.page("dataset.html", problem=_failure(shown), **values)


@router.get("/datasets/{dataset}/import")
def importing(visit: Visitor, dataset: str) -> Response:
    """How far an import is; the whole page comes anew when it has ended."""
    with visit.reading() as ctx:
        found = datasets.get_dataset(ctx, dataset)
        task = _task(ctx, found)
    if found.latest is None or found.latest.state != "importing":
        return visit.go(f"/datasets/{found.name}")
    return visit.part("parts/import_progress.html", dataset=found, task=task)


@router.get("/datasets/{dataset}/versions/{version}/quarantine")
def quarantine(visit: Visitor, dataset: str, version: Annotated[int, Path(ge=1)]) -> Response:
    """The bad rows as a file."""
    with visit.reading() as ctx:
        found = datasets.get_dataset(ctx, dataset)
        file = datasets.open_quarantine(ctx, found.id, version)

    def pieces() -> Iterator[bytes]:
        with file:
            while piece := file.read(1 << 16):
                yield piece

    name = f"{found.name}-v{version}-bad-rows.jsonl"
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return StreamingResponse(pieces(), media_type="application/x-ndjson", headers=headers)


@router.post("/datasets/{dataset}/versions/{version}/publish")
def publish(visit: Visitor, dataset: str, version: Annotated[int, Path(ge=1)]) -> Response:
    """Make a draft ready for training."""
    with visit.writing() as ctx:
        found = datasets.get_dataset(ctx, dataset)
        datasets.publish_version(ctx, found.id, version)
    return visit.go(f"/datasets/{found.name}")


@router.post("/datasets/{dataset}/delete")
def delete(visit: Visitor, dataset: str) -> Response:
    """Delete a dataset that no model was trained on."""
    with visit.writing() as ctx:
        datasets.delete_dataset(ctx, dataset)
    return visit.go("/datasets")


def _shown(ctx: Context, dataset: Dataset, version: int | None) -> DatasetVersion | None:
    return dataset.latest if version is None else datasets.get_version(ctx, dataset.id, version)


def _task(ctx: Context, dataset: Dataset) -> Task | None:
    return None if dataset.task is None else tasks.get_task(ctx, dataset.task)


def _failure(version: DatasetVersion | None) -> Problem | None:
    return None if version is None or version.error is None else Problem.from_dict(version.error)
