"""Datasets: bring a file, look at versions, rows and what was wrong with rows."""

from collections.abc import Iterator
from typing import Annotated, BinaryIO
from urllib.parse import quote

import orjson
from fastapi import APIRouter, Depends, Query
from fastapi.exceptions import RequestValidationError
from pydantic import ValidationError
from starlette.responses import StreamingResponse

from tunery.api.description import STREAM_ERRORS
from tunery.api.paging import After, Limit, Offset, Rows, Version
from tunery.api.session import Reading, Writing
from tunery.api.uploads import Upload, receive_upload
from tunery.core.errors import Problem, Where
from tunery.schemas.dataset import (
    Dataset,
    DatasetVersion,
    Fixed,
    FixRequest,
    ImportAgain,
    ImportRequest,
    QuarantinePage,
    RowPage,
)
from tunery.schemas.project import Page
from tunery.services import datasets, imports

router = APIRouter(prefix="/datasets")
_BLOCK = 2**16


def _import_form(upload: Annotated[Upload, Depends(receive_upload, scope="function")]) -> ImportRequest:
    """The fields beside the file; those that hold several names are JSON."""
    fields: dict[str, object] = {name: text for name, text in upload.fields.items() if text != ""}
    for name in ("columns", "turns"):
        if name in fields:
            try:
                fields[name] = orjson.loads(upload.fields[name])
            except orjson.JSONDecodeError as error:
                detail = f'{name}: write a JSON object, as in {{"instruction": "question"}}.'
                raise Problem("invalid_request", where=Where(field=name), detail=detail) from error
    try:
        return ImportRequest.model_validate(fields)
    except ValidationError as error:
        raise RequestValidationError([{**e, "loc": ("body", *e["loc"])} for e in error.errors()]) from error


def _form_schema() -> dict[str, object]:
    schema = ImportRequest.model_json_schema()
    schema["properties"] = {"file": {"type": "string", "format": "binary"}, **schema["properties"]}
    schema["required"] = ["file", "name"]
    return {"requestBody": {"required": True, "content": {"multipart/form-data": {"schema": schema}}}}


@router.post("", status_code=202, openapi_extra=_form_schema())
def import_dataset(
    upload: Annotated[Upload, Depends(receive_upload, scope="function")],
    form: Annotated[ImportRequest, Depends(_import_form)],
    ctx: Writing,
) -> Dataset:
    """Upload a file as a dataset or its next version. A task checks and imports it.

    For large files and unreliable connections, send it in parts instead: POST /api/v1/uploads.
    """
    return imports.import_file(
        ctx,
        name=form.name,
        source=upload.path,
        filename=upload.filename or "",
        options=imports.like_before(ctx, form),
    )


@router.get("")
def list_datasets(ctx: Reading, limit: Limit = 20, after: After = None) -> Page[Dataset]:
    """Datasets, newest first."""
    return datasets.list_datasets(ctx, limit, after)


@router.get("/{dataset}")
def get_dataset(ctx: Reading, dataset: str) -> Dataset:
    """One dataset, by name or id."""
    return datasets.get_dataset(ctx, dataset)


@router.delete("/{dataset}", status_code=204)
def delete_dataset(ctx: Writing, dataset: str) -> None:
    """Delete a dataset that no model was trained on."""
    datasets.delete_dataset(ctx, dataset)


@router.get("/{dataset}/versions")
def list_dataset_versions(ctx: Reading, dataset: str) -> list[DatasetVersion]:
    """Every version, newest first."""
    return datasets.list_versions(ctx, dataset)


@router.get("/{dataset}/versions/{version}")
def get_dataset_version(ctx: Reading, dataset: str, version: Version) -> DatasetVersion:
    """One version with the report of its import."""
    return datasets.get_version(ctx, dataset, version)


@router.get("/{dataset}/versions/{version}/rows")
def read_dataset_rows(
    ctx: Reading, dataset: str, version: Version, offset: Offset = 0, limit: Rows = 20
) -> RowPage:
    """Rows in canonical form."""
    return datasets.read_rows(ctx, dataset, version, offset, limit)


@router.get(
    "/{dataset}/versions/{version}/quarantine",
    response_class=StreamingResponse,
    responses={200: {"content": {"application/jsonl": {}}}} | STREAM_ERRORS,
)
def download_quarantine(ctx: Reading, dataset: str, version: Version) -> StreamingResponse:
    """The rows that can't be used, each with the reason, as JSON lines."""
    file = datasets.open_quarantine(ctx, dataset, version)
    name = f"{dataset}-{version}-quarantine.jsonl"
    disposition = f"attachment; filename*=UTF-8''{quote(name, safe='')}"
    headers = {"Content-Disposition": disposition}
    return StreamingResponse(_blocks(file), media_type="application/jsonl", headers=headers)


@router.get("/{dataset}/versions/{version}/quarantine/rows")
def read_quarantine(
    ctx: Reading,
    dataset: str,
    version: Version,
    offset: Offset = 0,
    limit: Rows = 20,
    rule: Annotated[str | None, Query(max_length=64, description="Only rows that break this rule.")] = None,
) -> QuarantinePage:
    """A page of the rows that can't be used."""
    return imports.read_quarantine(ctx, dataset, version, offset, limit, rule)


@router.post("/{dataset}/versions/{version}/fixes")
def keep_fixes(ctx: Writing, dataset: str, version: Version, body: FixRequest) -> Fixed:
    """Try fixed rows; those that can be used now are kept for the next import of the file."""
    return imports.keep_fixes(ctx, dataset, version, body.fixes)


@router.post("/{dataset}/versions/{version}/import", status_code=202)
def import_dataset_again(ctx: Writing, dataset: str, version: Version, body: ImportAgain) -> Dataset:
    """Read the kept file of a version once more: without its bad rows, salvaged, as another format, or fixed.

    A failed import is done anew; from any other version the next one is made.
    """
    return imports.import_again(ctx, dataset, version, body)


@router.post("/{dataset}/versions/{version}/publish")
def publish_dataset_version(ctx: Writing, dataset: str, version: Version) -> DatasetVersion:
    """Make a draft immutable, so that runs may train on it."""
    return datasets.publish_version(ctx, dataset, version)


def _blocks(file: BinaryIO) -> Iterator[bytes]:
    with file:
        while block := file.read(_BLOCK):
            yield block
