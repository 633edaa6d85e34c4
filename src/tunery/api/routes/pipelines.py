"""Pipelines: saved definitions, their schedules and starts."""

from fastapi import APIRouter
from starlette.responses import Response

from tunery.api.idempotency import ByKey
from tunery.api.paging import After, Limit
from tunery.api.session import Reading, Writing
from tunery.schemas.pipeline import (
    Pipeline,
    PipelineCheck,
    PipelineStart,
    PipelineVersion,
    SavePipeline,
    SetSchedule,
)
from tunery.schemas.project import Page
from tunery.schemas.run import RunDetail, RunSpec
from tunery.services import pipelines

router = APIRouter(prefix="/pipelines")


@router.post("", status_code=201, response_model=Pipeline)
def save_pipeline(ctx: Writing, once: ByKey, body: SavePipeline) -> Response:
    """Save a definition as a new pipeline or template."""
    return once.answer(ctx, 201, lambda: pipelines.save(ctx, body))


@router.post("/check")
def check_pipeline(ctx: Reading, spec: RunSpec) -> PipelineCheck:
    """What a definition would run with now, and when its schedule would start it. Nothing is kept."""
    return pipelines.foresee(ctx, spec)


@router.get("")
def list_pipelines(ctx: Reading, limit: Limit = 20, after: After = None) -> Page[Pipeline]:
    """Pipelines and templates, newest first."""
    return pipelines.list_pipelines(ctx, limit, after)


@router.get("/{pipeline}")
def get_pipeline(ctx: Reading, pipeline: str) -> Pipeline:
    """One pipeline, by name or id, with its schedule's next times."""
    return pipelines.get_pipeline(ctx, pipeline)


@router.put("/{pipeline}")
def change_pipeline(ctx: Writing, pipeline: str, spec: RunSpec) -> Pipeline:
    """Save a spec as the pipeline's newest version."""
    return pipelines.change(ctx, pipeline, spec)


@router.delete("/{pipeline}", status_code=204)
def delete_pipeline(ctx: Writing, pipeline: str) -> None:
    """Delete a pipeline and its schedule; its runs are kept."""
    pipelines.delete_pipeline(ctx, pipeline)


@router.get("/{pipeline}/versions")
def list_pipeline_versions(ctx: Reading, pipeline: str) -> list[PipelineVersion]:
    """Every version, newest first."""
    return pipelines.list_versions(ctx, pipeline)


@router.post("/{pipeline}/start", status_code=201, response_model=RunDetail)
def start_pipeline(ctx: Writing, once: ByKey, pipeline: str) -> Response:
    """Queue a run of the newest version."""
    return once.answer(ctx, 201, lambda: pipelines.start(ctx, pipeline))


@router.put("/{pipeline}/schedule")
def set_schedule(ctx: Writing, pipeline: str, body: SetSchedule) -> Pipeline:
    """Turn the schedule on or off."""
    return pipelines.set_schedule(ctx, pipeline, active=body.active)


@router.get("/{pipeline}/starts")
def list_starts(ctx: Reading, pipeline: str, limit: Limit = 20, after: After = None) -> Page[PipelineStart]:
    """Its starts, and those skipped or refused, newest first."""
    return pipelines.list_starts(ctx, pipeline, limit, after)
