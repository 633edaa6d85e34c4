"""All routes under /api/v1: every module of `routes/` brings its own. Nothing keeps a list."""

import importlib
import pkgutil

from fastapi import APIRouter
from fastapi.routing import APIRoute

from tunery.api import routes
from tunery.api.description import ERRORS


def create_router() -> APIRouter:
    """The REST API as one router."""
    root = APIRouter(prefix="/api/v1", responses=ERRORS, generate_unique_id_function=_operation_id)
    for found in pkgutil.iter_modules(routes.__path__):
        module = importlib.import_module(f"{routes.__name__}.{found.name}")
        root.include_router(module.router, tags=[found.name.replace("_", " ")])
    return root


def _operation_id(route: APIRoute) -> str:
    return route.name
