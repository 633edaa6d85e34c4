"""The page that makes a clean version of a dataset: steps in order, with their settings."""

from typing import Annotated

from fastapi import Query
from starlette.responses import Response

from tunery.schemas.cleaning import StepReport
from tunery.services import datasets, extensions
from tunery.web.page import Visitor, room

router = room()


@router.get("/datasets/{dataset}/clean")
def form(visit: Visitor, dataset: str, version: Annotated[int | None, Query(ge=1)] = None) -> Response:
    """The steps to choose from. The form sends what the API takes."""
    with visit.reading() as ctx:
        found = datasets.get_dataset(ctx, dataset)
        versions = [
            one for one in datasets.list_versions(ctx, found.id) if one.state in ("draft", "published")
        ]
        others = [one.name for one in datasets.list_datasets(ctx, 100).data if one.name != found.name]
    chosen = next((one for one in versions if one.version == version), versions[0] if versions else None)
    steps = extensions.cleaning_steps()
    return visit.page(
        "dataset_clean.html",
        dataset=found,
        versions=versions,
        chosen=chosen,
        steps=steps,
        form={
            "dataset": found.name,
            "others": others,
            "steps": {step.name: step.model_dump(mode="json") for step in steps},
            "begun": [] if chosen is None or chosen.cleaning is None else _again(chosen.cleaning.steps),
        },
    )


def _again(steps: list[StepReport]) -> list[dict[str, object]]:
    """The steps a version was made with, to be changed and done again."""
    return [{"step": step.step, "settings": step.settings} for step in steps]
