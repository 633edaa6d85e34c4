"""Deployments: every name that /v1 answers for."""

from fastapi import APIRouter, Request

from tunery.api.session import Reading
from tunery.schemas.model import Deployment
from tunery.services import serving

router = APIRouter(prefix="/deployments")


@router.get("")
def list_deployments(request: Request, ctx: Reading) -> list[Deployment]:
    """What a chat request can name, with the state of its replica."""
    return serving.list_deployments(ctx, request.app.state.tunery.pool)
