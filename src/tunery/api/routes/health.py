"""Whether the server answers. Open to anyone; it tells nothing else."""

from fastapi import APIRouter

from tunery import __version__
from tunery.schemas.project import Health

router = APIRouter()


@router.get("/health")
def get_health() -> Health:
    """Whether the server answers, and its version."""
    return Health(version=__version__)
