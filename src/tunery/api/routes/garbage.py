"""Garbage: bytes that nothing needs any more."""

from fastapi import APIRouter

from tunery.api.session import Writing
from tunery.schemas.task import Task
from tunery.services import garbage

router = APIRouter(prefix="/garbage")


@router.post("", status_code=202)
def collect_garbage(ctx: Writing) -> Task:
    """Free the storage of deleted versions. Anything stored less than an hour ago is kept."""
    return garbage.collect(ctx)
