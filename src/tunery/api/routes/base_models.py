"""Base models: what there is to fine-tune."""

from fastapi import APIRouter

from tunery.api.session import Reading, Writing
from tunery.schemas.model import AddBaseModel, BaseModelEntry
from tunery.schemas.project import Page
from tunery.services import base_models

router = APIRouter(prefix="/base-models")


@router.get("")
def list_base_models(ctx: Reading) -> Page[BaseModelEntry]:
    """Every base model, on this machine or not, in one page."""
    return Page(data=base_models.list_base_models(ctx), has_more=False)


@router.post("", status_code=201)
def add_base_model(ctx: Writing, body: AddBaseModel) -> BaseModelEntry:
    """Register a folder on the server's machine as a base model."""
    return base_models.add_base_model(ctx, body)


# Names of base models may hold a slash.
@router.get("/{name:path}")
def get_base_model(ctx: Reading, name: str) -> BaseModelEntry:
    """One base model."""
    return base_models.get_base_model(ctx, name)
