"""The form of a new run, made from RunSpec and the settings of each method. It sends what the API takes."""

from typing import Annotated, Any

from fastapi import Query
from starlette.responses import Response

from tunery.schemas.run import RunSpec
from tunery.services import base_models, datasets, demo, extensions, models, pipelines, runs
from tunery.services.context import Context
from tunery.services.resolve import as_written
from tunery.starter.place import MODEL_NAME
from tunery.web.page import Visitor, room

router = room()
_MOST = 100
_DEMO: dict[str, Any] = {
    "name": "support-tickets",
    "base_model": MODEL_NAME,
    "data": {"train": [{"dataset": demo.TRAIN_NAME}]},
    "evaluate": {"dataset": {"dataset": demo.HELD_OUT_NAME}, "max_rows": 100, "max_new_tokens": 96},
    "publish": {"auto": True},
}
GROUPS = {
    "basic": "Basics",
    "lora": "Adapter (LoRA)",
    "schedule": "Schedule",
    "validation": "Validation",
    "data": "Rows",
    "checkpoints": "Checkpoints",
    "advanced": "Advanced",
}


@router.get("/runs/new")
def form(
    visit: Visitor,
    dataset: str | None = None,
    base: str | None = None,
    clone: str | None = None,
    pipeline: str | None = None,
    with_demo: Annotated[bool, Query(alias="demo")] = False,
) -> Response:
    """An empty form, one for a dataset or base model, the demo's, an earlier run's, or a pipeline's."""
    with visit.reading() as ctx:
        spec, title = _begin(ctx, dataset, base, clone, pipeline, with_demo)
        values = {
            "bases": [entry for entry in base_models.list_base_models(ctx) if entry.available],
            "datasets": datasets.list_datasets(ctx, _MOST, None).data,
        }
        names = models.list_names(ctx)
    methods = sorted(
        extensions.methods(), key=lambda info: info.name != RunSpec.model_fields["method"].default
    )
    return visit.page(
        "run_new.html",
        title=title,
        spec=spec,
        methods=methods,
        metrics=extensions.metrics(),
        groups=GROUPS,
        form={
            "spec": spec,
            "methods": {info.name: info.model_dump(mode="json") for info in methods},
            "groups": GROUPS,
            "characters": {one.name: one.latest.characters for one in values["datasets"] if one.latest},
            "models": names,
            "rowKinds": {one.name: one.latest.row_kind for one in values["datasets"] if one.latest},
        },
        **values,
    )


def _begin(
    ctx: Context,
    dataset: str | None,
    base: str | None,
    clone: str | None,
    pipeline: str | None,
    with_demo: bool,
) -> tuple[dict[str, Any], str]:
    if clone is not None:
        run = runs.get_run(ctx, clone)
        return as_written(run.resolved), f"New run based on {run.name} #{run.number}"
    if pipeline is not None:
        kept = pipelines.get_pipeline(ctx, pipeline)
        written = kept.spec.model_dump(mode="json", exclude_unset=True, exclude={"trigger"})
        return written, f"New run from {kept.name}@{kept.version}"
    if with_demo:
        return _DEMO, "Try the sample with the starter model"
    spec: dict[str, Any] = {}
    if dataset is not None:
        spec["data"] = {"train": [{"dataset": dataset}]}
    if base is not None:
        spec["base_model"] = base
    return spec, "New run"
