"""The playground: talk to one model, or to two side by side."""

from starlette.responses import Response

from tunery.services import serving
from tunery.web.nav import Nav
from tunery.web.page import Visitor, room

NAV = Nav(4, "Playground", "/playground", "chat")
router = room()


@router.get("/playground")
def chat(visit: Visitor, model: str | None = None, against: str | None = None) -> Response:
    """The page; the address says which models."""
    with visit.reading() as ctx:
        deployments = serving.list_deployments(ctx, visit.request.app.state.tunery.pool)
    names = [one.name for one in deployments]
    tuned = [one.name for one in deployments if one.model_version is not None]
    chosen = model if model in names else next(iter(tuned or names), None)
    return visit.page(
        "playground.html",
        deployments=deployments,
        chosen=chosen,
        against=against if against in names else None,
    )
