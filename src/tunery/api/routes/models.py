"""Models: what runs published."""

from fastapi import APIRouter

from tunery.api.paging import After, Limit
from tunery.api.session import Reading, Writing
from tunery.schemas.model import Model, ModelVersion, PublishRequest
from tunery.schemas.project import Page
from tunery.schemas.task import Task
from tunery.services import models

router = APIRouter(prefix="/models")


@router.get("")
def list_models(ctx: Reading, limit: Limit = 20, after: After = None) -> Page[Model]:
    """Models, newest first."""
    return models.list_models(ctx, limit, after)


@router.post("", status_code=202)
def publish_model(ctx: Writing, body: PublishRequest) -> Task:
    """Publish a run's result, or one of its checkpoints, as a model version."""
    return models.publish(ctx, body)


@router.get("/{model}")
def get_model(ctx: Reading, model: str) -> Model:
    """One model, by name or id."""
    return models.get_model(ctx, model)


@router.get("/{model}/versions")
def list_model_versions(ctx: Reading, model: str) -> list[ModelVersion]:
    """Every version with its lineage, newest first."""
    return models.list_versions(ctx, model)
