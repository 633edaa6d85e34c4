"""After an import: do it again with other options, fix its bad rows; discard an upload."""

from typing import Annotated, Any

from fastapi import Form, Path
from starlette.responses import Response

from tunery.core.errors import Problem
from tunery.schemas.dataset import ImportAgain, RowFix
from tunery.services import datasets, extensions, imports, uploads
from tunery.services.context import Context
from tunery.web.page import Visitor, room

router = room()
SIZE = 20
"""Bad rows on one page."""
Version = Annotated[int, Path(ge=1)]


def report_values(
    ctx: Context, dataset: str, version: int, offset: int = 0, rule: str | None = None
) -> dict[str, Any]:
    """What the report of an import needs to be shown, beside the version itself."""
    return {
        "held": imports.read_quarantine(ctx, dataset, version, offset, SIZE, rule),
        "fixed": imports.waiting_rows(ctx, dataset, version),
        "rule": rule,
        "size": SIZE,
        "formats": extensions.formats(),
    }


@router.post("/datasets/{dataset}/versions/{version}/import")
def again(
    visit: Visitor,
    dataset: str,
    version: Version,
    accept_bad_rows: Annotated[bool | None, Form()] = None,
    salvage: Annotated[bool | None, Form()] = None,
    names: Annotated[bool, Form()] = False,
    format: Annotated[str, Form()] = "",
    field: Annotated[list[str] | None, Form()] = None,
    column: Annotated[list[str] | None, Form()] = None,
    turn_part: Annotated[list[str] | None, Form()] = None,
    turn_name: Annotated[list[str] | None, Form()] = None,
) -> Response:
    """Read the kept file once more. `names`: the form said how the file's columns and turns are called."""
    wanted: dict[str, Any] = {"accept_bad_rows": accept_bad_rows, "salvage": salvage}
    if names:
        wanted |= {
            "format": format,
            "columns": _pairs(field, column),
            "turns": _pairs(turn_part, turn_name),
        }
    with visit.writing() as ctx:
        found = datasets.get_dataset(ctx, dataset)
        imports.import_again(ctx, found.id, version, ImportAgain(**wanted))
    return visit.go(f"/datasets/{found.name}")


@router.post("/datasets/{dataset}/versions/{version}/fixes")
def keep_fixes(
    visit: Visitor,
    dataset: str,
    version: Version,
    file: Annotated[str, Form()],
    row: Annotated[int, Form()],
    text: Annotated[str, Form()],
    offset: Annotated[int, Form(ge=0)] = 0,
    rule: Annotated[str, Form()] = "",
) -> Response:
    """Try a fixed row; the report comes anew when it can be used. Raises Problem `row_still_bad`."""
    with visit.writing() as ctx:
        found = datasets.get_dataset(ctx, dataset)
        tried = imports.keep_fixes(ctx, found.id, version, [RowFix(file=file, row=row, text=text.strip())])
        for bad in tried.problems:
            raise Problem("row_still_bad", rule=bad.rule, fix=bad.fix)
        shown = datasets.get_version(ctx, found.id, version)
        values = report_values(ctx, found.id, version, offset, rule or None)
    say = f"Row {row} is valid now. Import again to use it."
    return visit.part("parts/import_report.html", say=say, dataset=found, shown=shown, **values)


@router.post("/datasets/uploads/{upload}/delete")
def give_up(visit: Visitor, upload: str) -> Response:
    """Forget an upload that was interrupted."""
    with visit.writing() as ctx:
        uploads.delete_upload(ctx, visit.request.app.state.tunery.writers, upload)
    return visit.go("/datasets/new")


def _pairs(left: list[str] | None, right: list[str] | None) -> dict[str, str]:
    both = zip(left or [], right or [], strict=False)
    return {one.strip(): other.strip() for one, other in both if one.strip() and other.strip()}
