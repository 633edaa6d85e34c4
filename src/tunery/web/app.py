"""The console as one router and one folder of files, ready to be put into the server.

    app.include_router(create_router())
    app.mount("/static", static_app())

Errors of its addresses are shown by `web.page.problem_page`.
"""

from fastapi import APIRouter
from starlette.types import ASGIApp

from tunery.web.assets import FOLDER, Assets
from tunery.web.nav import rooms


def create_router() -> APIRouter:
    """All rooms of the console."""
    router = APIRouter(include_in_schema=False)
    for room in rooms():
        router.include_router(room.router)
    return router


def static_app() -> ASGIApp:
    """Style sheets, scripts and vendored libraries, to be mounted at /static."""
    return Assets(directory=FOLDER)
