"""Cleaning: which steps there are, and a new version by some of them."""

from fastapi import APIRouter

from tunery.api.auth import Project
from tunery.api.session import Writing
from tunery.schemas.cleaning import CleanRequest
from tunery.schemas.dataset import Dataset
from tunery.schemas.project import ExtensionInfo
from tunery.services import cleaning, extensions

router = APIRouter()


@router.get("/cleaning-steps")
def list_cleaning_steps(project: Project) -> list[ExtensionInfo]:
    """Steps of cleaning with their settings."""
    return extensions.cleaning_steps()


@router.post("/datasets/{dataset}/clean", status_code=202)
def clean_dataset(ctx: Writing, dataset: str, body: CleanRequest) -> Dataset:
    """Make a new version by applying steps in order, as a task; the version reports what each step did."""
    return cleaning.clean(ctx, dataset, body)
