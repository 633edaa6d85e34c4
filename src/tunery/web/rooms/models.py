"""Models: what runs published, with its lineage, and the base models to start from."""

from typing import Annotated

from fastapi import Form
from starlette.responses import Response

from tunery.schemas.model import AddBaseModel
from tunery.services import base_models, evaluations, extensions, models, runs
from tunery.web.nav import Nav
from tunery.web.page import Visitor, filled, room

NAV = Nav(3, "Models", "/models", "model")
router = room()
_LIST = 50


@router.get("/models")
def overview(visit: Visitor, after: str | None = None) -> Response:
    """Published models, newest first."""
    with visit.reading() as ctx:
        page = models.list_models(ctx, _LIST, after)
    return visit.page("models.html", page=page, after=after)


@router.get("/models/base")
def bases(visit: Visitor) -> Response:
    """Base models: those on this machine first."""
    with visit.reading() as ctx:
        entries = base_models.list_base_models(ctx)
    here = [entry for entry in entries if entry.available]
    elsewhere = [entry for entry in entries if not entry.available]
    return visit.page("base_models.html", here=here, elsewhere=elsewhere)


@router.post("/models/base")
def add_base(
    visit: Visitor,
    path: Annotated[str, Form()],
    name: Annotated[str, Form()] = "",
    licence: Annotated[str, Form()] = "",
) -> Response:
    """Register a folder as a base model."""
    with visit.writing() as ctx:
        body = filled(AddBaseModel, path=path.strip(), name=name.strip(), licence=licence.strip())
        base_models.add_base_model(ctx, body)
    return visit.go("/models/base")


@router.get("/models/{model}")
def one(visit: Visitor, model: str) -> Response:
    """One model with its versions."""
    with visit.reading() as ctx:
        found = models.get_model(ctx, model)
        versions = models.list_versions(ctx, model)
        came_from = {version.run: runs.get_run(ctx, version.run) for version in versions}
        metrics = {info.name: info for info in extensions.metrics()}
        scored = [version.evaluation for version in versions if version.evaluation]
        found_scores = {id: evaluations.get_evaluation(ctx, id) for id in scored}
    names = {id: f"{run.name} #{run.number}" for id, run in came_from.items()}
    return visit.page(
        "model.html",
        model=found,
        versions=versions,
        run_names=names,
        metrics=metrics,
        evaluations=found_scores,
    )
