"""What this installation can do: methods, formats, metrics."""

from fastapi import APIRouter

from tunery.api.auth import Project
from tunery.schemas.project import ExtensionInfo
from tunery.services import extensions

router = APIRouter()


@router.get("/methods")
def list_methods(project: Project) -> list[ExtensionInfo]:
    """Training methods with their settings."""
    return extensions.methods()


@router.get("/formats")
def list_formats(project: Project) -> list[ExtensionInfo]:
    """Formats of training data."""
    return extensions.formats()


@router.get("/metrics")
def list_metrics(project: Project) -> list[ExtensionInfo]:
    """Metrics of an evaluation."""
    return extensions.metrics()
