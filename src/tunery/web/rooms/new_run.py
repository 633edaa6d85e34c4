"""The form of a new run, made from RunSpec and the settings of each method. It sends what the API takes."""

from typing import Annotated, Any

from fastapi import Query
from starlette.responses import Response

from tunery.schemas.continuing import DEFAULT_REPLAY, ContinueSpec
from tunery.schemas.run import ResolvedSpec, RunSpec
from tunery.services import base_models, continuing, datasets, demo, extensions, models, pipelines, runs
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
    continued: Annotated[str | None, Query(alias="continue")] = None,
    step: Annotated[int | None, Query(ge=0)] = None,
    with_demo: Annotated[bool, Query(alias="demo")] = False,
) -> Response:
    """An empty form, one for a dataset or base model, the demo's, an earlier run's or a pipeline's, or one that goes
    on from an earlier run's model."""
    with visit.reading() as ctx:
        if continued is not None:
            spec, title = _go_on(ctx, continued, step)
        else:
            spec, title = _begin(ctx, dataset, base, clone, pipeline, with_demo)
        wanted = ContinueSpec.model_validate(spec["continue_from"]) if spec.get("continue_from") else None
        values = {
            "continuing": _states(ctx, wanted) if wanted else None,
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
        name = f"{run.name} #{run.number}"
        return {**as_written(run.resolved), "clone_of": name}, f"New run based on {name}"
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


def _go_on(ctx: Context, name: str, step: int | None) -> tuple[dict[str, Any], str]:
    """A run like the earlier one, from where its model is."""
    wanted = ContinueSpec(run=name, step=step, replay=None)
    row, state = continuing.meant(ctx, wanted)
    earlier = ResolvedSpec.model_validate(row.resolved)
    spec: dict[str, Any] = {
        "continue_from": {"run": f"{row.name} #{row.number}", "step": state.step},
        "method": row.method,
        "settings": {"finetuning_type": earlier.spec.settings["finetuning_type"]},
        "evaluate": earlier.spec.evaluate.model_dump(mode="json", exclude_defaults=True),
    }
    return spec, f"Continue training from {row.name} #{row.number}"


def _states(ctx: Context, wanted: ContinueSpec) -> dict[str, Any]:
    """What the form shows of the run that is gone on from: its states, and the base model that is fixed by it."""
    row, _ = continuing.meant(ctx, wanted)
    return {
        "run": f"{row.name} #{row.number}",
        "base": row.base_model,
        "states": continuing.states(ctx, row),
        "published": models.published_steps(ctx, row.id),
        "replay": f"{100 * (DEFAULT_REPLAY if wanted.replay is None else wanted.replay):g}",
    }
