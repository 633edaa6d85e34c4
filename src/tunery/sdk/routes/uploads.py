"""Uploads: a file of any size, sent in parts; what arrived stays when the line breaks or the server starts again."""

import base64
import hashlib
import time
from pathlib import Path
from typing import BinaryIO

from tunery.core.errors import Problem, Where
from tunery.core.files import sha256_file
from tunery.schemas.dataset import Dataset, ImportRequest, RegistryImport, RegistryImported, Upload
from tunery.schemas.project import Page
from tunery.sdk.call import (
    Call,
    Flow,
    Pause,
    Resource,
    S,
    Sent,
    as_json,
    endpoint,
    flow,
    nothing,
    segment,
    send,
)

PART = 8 << 20
"""Bytes of one request."""
PATIENCE = 60.0
"""Seconds without any progress until an upload is given up."""
WAIT = 0.5
"""Seconds before a part is sent again, for what passes by itself."""
_TUS = {"Tus-Resumable": "1.0.0"}
PASSING = frozenset({"no_server", "foreign_answer", "upload_busy", "upload_conflict"})
"""Problems that may be over a moment later; then the server says how much it has."""
_UPLOAD = as_json(Upload)
_UPLOADS = as_json(Page[Upload])
_DATASET = as_json(Dataset)
_REGISTRY = as_json(RegistryImported)


def create(
    filename: str, bytes: int, *, fingerprint: str | None = None, sha256: str | None = None
) -> Call[Upload]:
    """Announce a file."""
    said = {"filename": filename, "fingerprint": fingerprint, "sha256": sha256}
    coded = [
        f"{name} {base64.b64encode(text.encode()).decode()}"
        for name, text in said.items()
        if text is not None
    ]
    headers = {**_TUS, "Upload-Length": str(bytes), "Upload-Metadata": ",".join(coded)}
    return Call("POST", "/api/v1/uploads", _UPLOAD, headers=headers)


def list_(limit: int = 20, after: str | None = None, fingerprint: str | None = None) -> Call[Page[Upload]]:
    """Uploads that are unfinished or not yet imported, newest first."""
    query = {"limit": limit, "after": after, "fingerprint": fingerprint}
    return Call("GET", "/api/v1/uploads", _UPLOADS, query=query)


def get(upload: str) -> Call[Upload]:
    """One upload, with how many bytes of it the server has."""
    return Call("GET", f"/api/v1/uploads/{segment(upload)}", _UPLOAD)


def delete(upload: str) -> Call[None]:
    """Discard an upload."""
    return Call("DELETE", f"/api/v1/uploads/{segment(upload)}", nothing, headers=_TUS)


def import_upload(upload: str, request: ImportRequest) -> Call[Dataset]:
    """Make a dataset, or the next version of one, of a whole upload."""
    return Call("POST", f"/api/v1/uploads/{segment(upload)}/import", _DATASET, body=request.model_dump())


def import_registry(upload: str, request: RegistryImport) -> Call[RegistryImported]:
    """Make datasets of the entries of a LLaMA-Factory `dataset_info.json` in a complete upload, a ZIP."""
    path = f"/api/v1/uploads/{segment(upload)}/import-registry"
    return Call("POST", path, _REGISTRY, body=request.model_dump())


def send_file(
    path: str | Path,
    *,
    checksum: bool = False,
    progress: Sent | None = None,
    part: int = PART,
    patience: float = PATIENCE,
) -> Flow[Upload]:
    """Send a file; an upload of the same file that was interrupted goes on where it was.

    Raises Problem `file_missing`; `no_server` when no byte got through for `patience` seconds.
    """
    file = Path(path)
    if not file.is_file():
        raise Problem("file_missing", path=str(path), base=str(Path.cwd()), where=Where(file=str(path)))
    upload = yield from _begin(file, checksum)
    with file.open("rb") as source:
        yield from _send_rest(upload, source, progress, part, patience)
    return upload


def _begin(file: Path, checksum: bool) -> Flow[Upload]:
    """The upload of this very file that the server knows already, or a new one."""
    mark = _fingerprint(file)
    found = yield from send(list_(1, fingerprint=mark))
    if found.data:
        return found.data[0]
    digest = sha256_file(file) if checksum else None
    return (yield from send(create(file.name, file.stat().st_size, fingerprint=mark, sha256=digest)))


def _send_rest(
    upload: Upload, source: BinaryIO, progress: Sent | None, part: int, patience: float
) -> Flow[None]:
    offset = upload.offset
    moved = time.monotonic()
    while offset < upload.bytes:
        if progress:
            progress(offset, upload.bytes)
        source.seek(offset)
        content = source.read(min(part, upload.bytes - offset))
        if not content:
            raise Problem(
                "file_unreadable", path=upload.filename, detail="it became shorter while it was being sent"
            )
        try:
            yield from send(_part(upload.id, offset, content))
            came = offset + len(content)
        except Problem as problem:
            came = yield from _after(problem, upload.id, moved + patience)
        if came > offset:
            moved = time.monotonic()
        offset = came
    if progress:
        progress(offset, upload.bytes)


def _after(problem: Problem, id: str, end: float) -> Flow[int]:
    """How much the server has, once it can be asked. Raises the problem when it won't pass."""
    while True:
        if problem.code not in PASSING or time.monotonic() > end:
            raise problem
        yield Pause(WAIT)
        try:
            return (yield from send(get(id))).offset
        except Problem as other:
            problem = other


def _part(id: str, offset: int, content: bytes) -> Call[None]:
    headers = {**_TUS, "Upload-Offset": str(offset), "Content-Type": "application/offset+octet-stream"}
    return Call("PATCH", f"/api/v1/uploads/{segment(id)}", nothing, content=content, headers=headers)


def _fingerprint(file: Path) -> str:
    """Tells this file as it is now from any other: place, size, last change and beginning."""
    found = file.stat()
    with file.open("rb") as source:
        head = source.read(1 << 16)
    mark = f"{file.resolve()}\0{found.st_size}\0{found.st_mtime_ns}\0".encode() + head
    return hashlib.sha256(mark).hexdigest()


class Uploads(Resource[S]):
    """Files on their way in."""

    create = endpoint(create)
    list = endpoint(list_)
    get = endpoint(get)
    delete = endpoint(delete)
    send_file = flow(send_file)
    import_ = endpoint(import_upload)
    import_registry = endpoint(import_registry)
