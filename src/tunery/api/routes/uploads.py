"""Uploads: files of any size, sent in parts by tus 1.0 (core, creation, termination, expiration).

    POST   /uploads            announce a file: Upload-Length, and Upload-Metadata with its filename
    HEAD   /uploads/ID         Upload-Offset says how many bytes are safe
    PATCH  /uploads/ID         send what follows Upload-Offset
    POST   /uploads/ID/import  make a dataset of the whole file

Any tus client can send the parts; answers also come as JSON. What an answer counts has been synced to the disk.
"""

import base64
import binascii
from collections.abc import Callable
from email.utils import format_datetime
from typing import Annotated, TypeVar

import anyio
from fastapi import APIRouter, Depends, Header, Query, Response
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request

from tunery.api.auth import Project
from tunery.api.paging import After, Limit
from tunery.api.session import Reading, Writing
from tunery.core.clock import to_datetime
from tunery.core.errors import Problem, Where
from tunery.schemas.dataset import Dataset, ImportRequest, RegistryImport, RegistryImported, Upload
from tunery.schemas.project import Page
from tunery.services import registries, uploads
from tunery.services.context import Context
from tunery.services.upload_writers import Writer, Writers

T = TypeVar("T")
_TUS = "1.0.0"
_EXTENSIONS = "creation,termination,expiration"
_BLOCK = 2**20
_PART = "application/offset+octet-stream"
_METADATA_LIMIT = 8192


def _speaks_tus(response: Response, tus_resumable: Annotated[str, Header()] = _TUS) -> None:
    if tus_resumable != _TUS:
        raise Problem("protocol_version", ours=_TUS, theirs=tus_resumable[:20])
    response.headers["Tus-Resumable"] = _TUS


def _writers(request: Request) -> Writers:
    return request.app.state.tunery.writers


router = APIRouter(prefix="/uploads", dependencies=[Depends(_speaks_tus)])
Bytes = Annotated[int, Header(ge=0, le=2**62)]
AllWriters = Annotated[Writers, Depends(_writers)]


@router.options("", status_code=204)
def describe_uploads(ctx: Reading, response: Response) -> None:
    """The tus version and extensions supported, in tus headers."""
    response.headers["Tus-Version"] = _TUS
    response.headers["Tus-Extension"] = _EXTENSIONS
    response.headers["Tus-Max-Size"] = str(ctx.settings.max_upload_bytes)


@router.post("", status_code=201)
def create_upload(
    ctx: Writing,
    response: Response,
    upload_length: Bytes,
    upload_metadata: Annotated[str, Header(max_length=_METADATA_LIMIT)] = "",
) -> Upload:
    """Announce a file: its length, and in Upload-Metadata (base64) filename, and optionally fingerprint and sha256."""
    said = _metadata(upload_metadata)
    made = uploads.create_upload(
        ctx,
        filename=(said.get("filename") or said.get("name") or "upload")[-255:],
        bytes=upload_length,
        fingerprint=said.get("fingerprint", "")[:256] or None,
        sha256=said.get("sha256") or None,
    )
    _head(response, made)
    response.headers["Location"] = f"/api/v1/uploads/{made.id}"
    return made


@router.get("")
def list_uploads(
    ctx: Reading,
    writers: AllWriters,
    fingerprint: Annotated[
        str | None, Query(max_length=256, description="Only uploads of this file.")
    ] = None,
    limit: Limit = 20,
    after: After = None,
) -> Page[Upload]:
    """Uploads that are unfinished or not yet imported, newest first."""
    return uploads.list_uploads(ctx, writers, fingerprint=fingerprint, limit=limit, after=after)


@router.get("/{upload}")
def get_upload(ctx: Reading, writers: AllWriters, upload: str) -> Upload:
    """One upload, with the number of bytes stored."""
    return uploads.get_upload(ctx, writers, upload)


@router.head("/{upload}")
def ask_upload_offset(ctx: Reading, writers: AllWriters, upload: str, response: Response) -> None:
    """The number of bytes stored, in tus headers."""
    _head(response, uploads.get_upload(ctx, writers, upload))


_BODY = {
    "requestBody": {"required": True, "content": {_PART: {"schema": {"type": "string", "format": "binary"}}}}
}


@router.patch("/{upload}", status_code=204, openapi_extra=_BODY)
async def send_to_upload(
    request: Request, project: Project, upload: str, upload_offset: Bytes, response: Response
) -> None:
    """Send what follows Upload-Offset; as much as came stays, also when the connection breaks off."""
    if request.headers.get("content-type") != _PART:
        raise Problem("invalid_request", detail=f"Send the bytes as {_PART}.")
    writers = _writers(request)

    def begin(ctx: Context) -> Writer:
        return uploads.begin_writing(ctx, writers, upload, upload_offset)

    writer = await run_in_threadpool(_in_transaction, request, project, begin)
    try:
        await _feed(request, writer)
    finally:
        with anyio.CancelScope(shield=True):
            await run_in_threadpool(writer.finish)
    response.headers["Upload-Offset"] = str(writer.synced)


@router.delete("/{upload}", status_code=204)
def delete_upload(ctx: Writing, writers: AllWriters, upload: str) -> None:
    """Discard an upload."""
    uploads.delete_upload(ctx, writers, upload)


@router.post("/{upload}/import", status_code=202)
def import_upload(ctx: Writing, writers: AllWriters, upload: str, body: ImportRequest) -> Dataset:
    """Import a complete upload as a dataset or its next version. A task checks and imports it."""
    return uploads.import_upload(ctx, writers, upload, body)


@router.post("/{upload}/import-registry", status_code=202)
def import_registry(ctx: Writing, writers: AllWriters, upload: str, body: RegistryImport) -> RegistryImported:
    """Make datasets of the entries of a LLaMA-Factory `dataset_info.json` in a complete upload, a ZIP."""
    return registries.import_registry(ctx, writers, upload, body)


async def _feed(request: Request, writer: Writer) -> None:
    block = bytearray()
    try:
        async for chunk in request.stream():
            block += chunk
            if len(block) >= _BLOCK:
                whole, block = bytes(block), bytearray()
                await run_in_threadpool(writer.write, whole)
    except ClientDisconnect as error:
        await run_in_threadpool(writer.write, bytes(block))
        raise Problem(
            "invalid_request", detail="The connection was lost; the bytes received so far are kept."
        ) from error
    await run_in_threadpool(writer.write, bytes(block))


def _in_transaction(request: Request, project: str, work: Callable[[Context], T]) -> T:
    with request.app.state.tunery.context(project) as ctx:
        return work(ctx)


def _head(response: Response, upload: Upload) -> None:
    response.headers["Upload-Offset"] = str(upload.offset)
    response.headers["Upload-Length"] = str(upload.bytes)
    response.headers["Upload-Expires"] = format_datetime(to_datetime(upload.expires), usegmt=True)


def _metadata(header: str) -> dict[str, str]:
    """Pairs of a name and its value in base64, with commas between."""
    said: dict[str, str] = {}
    for pair in filter(None, (part.strip() for part in header.split(","))):
        name, _, coded = pair.partition(" ")
        try:
            said[name] = base64.b64decode(coded, validate=True).decode()
        except (binascii.Error, UnicodeDecodeError) as error:
            detail = f"Upload-Metadata: {name[:40]} isn't UTF-8 text in base64."
            raise Problem("invalid_request", where=Where(field="Upload-Metadata"), detail=detail) from error
    return said
