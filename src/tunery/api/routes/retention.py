"""Retention: what is kept of finished runs, and for how long."""

from fastapi import APIRouter

from tunery.api.session import Reading, Writing
from tunery.schemas.retention import Retention
from tunery.schemas.task import Task
from tunery.services import retention

router = APIRouter(prefix="/retention")


@router.get("")
def show_retention(ctx: Reading) -> Retention:
    """The rules, each with what a trim would remove now."""
    return retention.show(ctx)


@router.post("", status_code=202)
def trim_runs(ctx: Writing) -> Task:
    """Remove now what the rules say, instead of once a day. The task's result says what went."""
    return retention.trim(ctx)
