"""Garbage: bytes that nothing needs any more."""

from fastapi import APIRouter

from tunery.api.session import Writing
from tunery.schemas.task import Task
from tunery.services import garbage

router = APIRouter(prefix="/garbage")


@router.post("", status_code=202)
def collect_garbage(ctx: Writing) -> Task:
    """Have the bytes of deleted versions freed. What was put less than an hour ago stays."""
    return garbage.collect(ctx)
