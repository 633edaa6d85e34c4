"""How errors stand in the OpenAPI document."""

from typing import Any

from tunery.schemas.project import ProblemDocument

_SAYS = "What went wrong, and what to do."
Responses = dict[int | str, dict[str, Any]]
ERRORS: Responses = {"default": {"model": ProblemDocument, "description": _SAYS}}
"""For every route."""

# FastAPI describes a `model` in the route's own media type, which for these is not that of their errors.
_REFERENCE = {"$ref": "#/components/schemas/ProblemDocument"}
STREAM_ERRORS: Responses = {
    "default": {"description": _SAYS, "content": {"application/json": {"schema": _REFERENCE}}}
}
"""For routes that don't answer with JSON."""
