"""The first room: what is here, what runs now, and a way to begin where there is nothing yet."""

from typing import Any

from starlette.responses import Response

from tunery.schemas.project import Page
from tunery.schemas.run import Run
from tunery.services import base_models, datasets, demo, models, runs
from tunery.services.context import Context
from tunery.web.nav import Nav
from tunery.web.page import Visitor, room

NAV = Nav(0, "Start", "/", "home")
router = room()
_MOST = 100
_GOES_ON = ("running", "queued", "paused")


def _counted(page: Page[Any]) -> str:
    return f"{len(page.data)}+" if page.has_more else str(len(page.data))


def _active(ctx: Context) -> list[Run]:
    return [
        run
        for state in _GOES_ON
        for run in runs.list_runs(ctx, state=state, name=None, limit=10, after=None).data
    ]


@router.get("/")
def start(visit: Visitor) -> Response:
    """The page."""
    with visit.reading() as ctx:
        all_datasets = datasets.list_datasets(ctx, _MOST, None)
        all_runs = runs.list_runs(ctx, state=None, name=None, limit=_MOST, after=None)
        all_models = models.list_models(ctx, _MOST, None)
        bases = base_models.list_base_models(ctx)
        active = _active(ctx)
    return visit.page(
        "start.html",
        active=active,
        recent=[run for run in all_runs.data if run.state not in _GOES_ON][:5],
        models=all_models.data[:4],
        datasets=all_datasets.data,
        bases=sum(entry.available for entry in bases),
        counts={
            "datasets": _counted(all_datasets),
            "runs": _counted(all_runs),
            "models": _counted(all_models),
        },
    )


@router.get("/start/active")
def active_runs(visit: Visitor) -> Response:
    """What runs now, renewed while the page is open."""
    with visit.reading() as ctx:
        active = _active(ctx)
    return visit.part("parts/active_runs.html", active=active)


@router.post("/start/demo")
def load_demo(visit: Visitor) -> Response:
    """Import the bundled sample and go on to a form filled in for it."""
    with visit.writing() as ctx:
        demo.load_sample(ctx)
    return visit.go("/runs/new?demo=1")
