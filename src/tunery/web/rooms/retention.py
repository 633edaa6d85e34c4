"""Retention: the rules by which finished runs are trimmed, and trimming now."""

from starlette.responses import Response

from tunery.services import retention
from tunery.web.page import Visitor, room

router = room()


@router.get("/retention")
def overview(visit: Visitor) -> Response:
    """The rules, each with what it would remove now."""
    with visit.reading() as ctx:
        found = retention.show(ctx)
    return visit.page("retention.html", found=found)


@router.post("/retention")
def trim(visit: Visitor) -> Response:
    """Queue a trim."""
    with visit.writing() as ctx:
        retention.trim(ctx)
    return visit.go("/retention")
