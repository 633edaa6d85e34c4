"""Tasks: whatever takes long."""

from fastapi import APIRouter

from tunery.api.session import Reading
from tunery.schemas.task import Task
from tunery.services import tasks

router = APIRouter(prefix="/tasks")


@router.get("/{task}")
def get_task(ctx: Reading, task: str) -> Task:
    """How far a task is, and how it ended."""
    return tasks.get_task(ctx, task)
