"""A form with one file, streamed to a staging file under the data folder: never in memory, never in /tmp.

The file is removed when the request is over unless someone has moved it. It doesn't know what the file is for.
"""

import contextlib
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from python_multipart import MultipartParser
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import parse_options_header
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request

from tunery.core.errors import Problem, Where
from tunery.core.folder import DataFolder
from tunery.core.ids import new_id

if TYPE_CHECKING:
    from python_multipart.multipart import MultipartCallbacks

_BLOCK = 2**20
"""Bytes handed to a thread at once."""
_FIELD_LIMIT = 2**16
_FIELDS = 20


@dataclass
class Upload:
    """A received form: its file on disk, its other fields as text."""

    path: Path
    filename: str | None = None
    bytes: int = 0
    fields: dict[str, str] = field(default_factory=dict)


async def receive_upload(request: Request) -> AsyncIterator[Upload]:
    """FastAPI dependency. Raises Problem `invalid_request`, `too_large`, `disk_full`."""
    settings = request.app.state.tunery.settings
    kind, options = parse_options_header(request.headers.get("content-type"))
    boundary = options.get(b"boundary")
    if kind != b"multipart/form-data" or not boundary:
        raise Problem("invalid_request", detail="Send the file as multipart/form-data.")
    upload = Upload(DataFolder(settings.folder).uploads / new_id("upload"))
    try:
        form = await run_in_threadpool(_Form, upload, boundary, settings.max_upload_bytes)
        try:
            await _feed(request, form)
        finally:
            await run_in_threadpool(form.close)
        if upload.filename is None:
            raise Problem(
                "invalid_request", where=Where(field="file"), detail="file: there is no file in the form."
            )
        yield upload
    finally:
        upload.path.unlink(missing_ok=True)


async def _feed(request: Request, form: "_Form") -> None:
    block = bytearray()
    try:
        async for chunk in request.stream():
            block += chunk
            if len(block) >= _BLOCK:
                await run_in_threadpool(form.write, bytes(block))
                block.clear()
    except ClientDisconnect as error:
        raise Problem("invalid_request", detail="The upload was interrupted.") from error
    await run_in_threadpool(form.finish, bytes(block))


class _Form:
    """Takes a form's bytes block by block; the file's go to disk. Its methods run in threads, one at a time."""

    def __init__(self, upload: Upload, boundary: bytes, limit: int) -> None:
        self._upload = upload
        self._limit = limit
        self._header = bytearray()
        self._value = bytearray()
        self._disposition = b""
        self._name = ""
        self._is_file = False
        self._text = bytearray()
        self._ended = False
        with _broken_form():
            self._parser = MultipartParser(boundary, self._callbacks())
        self._file: BinaryIO = upload.path.open("wb")

    def write(self, block: bytes) -> None:
        with _broken_form():
            self._parser.write(block)

    def finish(self, block: bytes) -> None:
        """The last block. A form without its closing line was cut off on the way."""
        self.write(block)
        if not self._ended:
            raise Problem("invalid_request", detail="The form data ends too early.")

    def close(self) -> None:
        self._file.close()

    def _callbacks(self) -> "MultipartCallbacks":
        return {
            "on_part_begin": self._begin_part,
            "on_header_field": lambda data, start, end: self._header.extend(data[start:end]),
            "on_header_value": lambda data, start, end: self._value.extend(data[start:end]),
            "on_header_end": self._end_header,
            "on_headers_finished": self._end_headers,
            "on_part_data": self._take,
            "on_part_end": self._end_part,
            "on_end": self._end,
        }

    def _begin_part(self) -> None:
        self._disposition, self._name, self._is_file = b"", "", False
        self._text = bytearray()

    def _end_header(self) -> None:
        if bytes(self._header).lower() == b"content-disposition":
            self._disposition = bytes(self._value)
        self._header.clear()
        self._value.clear()

    def _end_headers(self) -> None:
        _, options = parse_options_header(self._disposition)
        self._name = options.get(b"name", b"").decode("utf-8", "replace")
        self._is_file = b"filename" in options
        if self._is_file and (self._name != "file" or self._upload.filename is not None):
            raise Problem(
                "invalid_request",
                where=Where(field=self._name),
                detail=f"{self._name}: send one file, in the field `file`.",
            )
        if self._is_file:
            self._upload.filename = options[b"filename"].decode("utf-8", "replace")

    def _take(self, data: bytes, start: int, end: int) -> None:
        if not self._is_file:
            self._text += data[start:end]
            if len(self._text) > _FIELD_LIMIT or len(self._upload.fields) >= _FIELDS:
                raise Problem("body_too_large", limit=_FIELD_LIMIT)
            return
        self._upload.bytes += end - start
        if self._upload.bytes > self._limit:
            raise Problem("too_large", limit=self._limit)
        self._file.write(data[start:end])

    def _end_part(self) -> None:
        if self._is_file:
            self._file.flush()
        else:
            self._upload.fields[self._name] = bytes(self._text).decode("utf-8", "replace")

    def _end(self) -> None:
        self._ended = True


@contextlib.contextmanager
def _broken_form() -> Iterator[None]:
    try:
        yield
    except FormParserError as error:
        raise Problem("invalid_request", detail=f"The form data is malformed: {error}.") from error


def remove_leftovers(folder: Path) -> None:
    """Remove what uploads left behind when the server was killed amid them."""
    for path in folder.glob("upload_*"):
        with contextlib.suppress(FileNotFoundError):
            path.unlink()
