"""Ready-made datasets beside the upload: the list, and taking one into the project."""

from typing import Any

from starlette.responses import Response

from tunery.core.errors import Problem
from tunery.schemas.preset_data import PresetImport
from tunery.services import datasets, preset_data
from tunery.services.context import Context
from tunery.web.page import Visitor, room

router = room()


def preset_values(ctx: Context) -> dict[str, Any]:
    """What the list needs. A list that an administrator got wrong is no reason not to upload a file."""
    try:
        offered = preset_data.list_presets(ctx.settings)
    except Problem as problem:
        return {"presets": [], "presets_problem": problem}
    taken = {one.name for one in offered if datasets.find_dataset(ctx, one.name)}
    return {"presets": offered, "taken": taken, "presets_problem": None}


@router.post("/datasets/presets/{preset}/import")
def take(visit: Visitor, preset: str) -> Response:
    """Import one under its own name."""
    with preset_data.taken(visit.settings, preset) as taken, visit.writing() as ctx:
        made = preset_data.import_preset(ctx, taken, PresetImport())
    return visit.go(f"/datasets/{made.name}")
