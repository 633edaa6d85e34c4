"""S3-compatible object stores: AWS, MinIO, SeaweedFS, Ceph, BOS and what else speaks the protocol.

What the service says in an error is never shown; only its code is looked at, and only a known one.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Annotated, Literal
from xml.etree import ElementTree

from pydantic import AfterValidator, Field, StringConstraints

from tunery.connections.kinds.point import RemoteFile
from tunery.connections.signature import encode_path, encode_query, signed_headers
from tunery.core.egress import Answer, Egress, Opened
from tunery.core.errors import Problem, Where
from tunery.core.reach import parse_target
from tunery.schemas.base import Schema
from tunery.schemas.connection import Secret

API_VERSION = 1
TITLE = "Bucket (S3)"
HELP = "A bucket on AWS S3, MinIO, SeaweedFS, Ceph, BOS or another S3-compatible service."
PATH_HELP = "A folder or a single file; empty means everything. If it has a subfolder jsonl, that is used."

MOST_FILES = 10_000
_PAGE = 1000
_SLOWEST = 64 * 1024
"""Bytes a second; what comes slower than this is given up."""
_PATIENCE = 60.0
_BUCKET = re.compile(r"^[A-Za-z0-9][A-Za-z0-9._-]{1,254}$")
_REGION = re.compile(r"^[a-z0-9-]{1,64}$")
_CODE = re.compile(rb"<Code>([A-Za-z.]{1,64})</Code>")

_KEY_UNKNOWN = {"InvalidAccessKeyId", "InvalidToken", "ExpiredToken", "InvalidClientTokenId"}
_SIGNATURE = {"SignatureDoesNotMatch"}
_CLOCK = {"RequestTimeTooSkewed", "RequestExpired", "ExpiredPresignRequest"}
_REGIONS = {"AuthorizationHeaderMalformed", "PermanentRedirect", "IllegalLocationConstraintException"}
_FORBIDDEN = {"AccessDenied", "AllAccessDisabled", "AccountProblem"}

Word = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=256)]


def _bucket(name: str) -> str:
    if not _BUCKET.match(name):
        raise ValueError("a bucket's name has letters, digits, dot, hyphen and underscore")
    return name


def _region(name: str) -> str:
    if not _REGION.match(name):
        raise ValueError("a region is written as in eu-central-1")
    return name


class Settings(Schema):
    """What an S3-compatible store needs."""

    endpoint: Annotated[Word, Field(title="Endpoint", examples=["https://s3.eu-central-1.amazonaws.com"])]
    """Address of the service, without the bucket."""
    bucket: Annotated[Word, AfterValidator(_bucket), Field(title="Bucket")]
    """Name of the bucket."""
    access_key: Annotated[Secret, Field(title="Access key")]
    """Access key id."""
    secret_key: Annotated[Secret, Field(title="Secret key")]
    """The secret that belongs to the access key."""
    region: Annotated[Word, AfterValidator(_region), Field(title="Region")] = "us-east-1"
    """Region of the bucket; services without regions accept any."""
    addressing: Annotated[Literal["path", "virtual"], Field(title="Addressing")] = "path"
    """Where the bucket name goes: in the path, or before the host name (virtual host)."""


class Bucket:
    """An open connection to one bucket."""

    def __init__(self, settings: Settings, egress: Egress) -> None:
        self._settings = settings
        self._egress = egress
        try:
            target = parse_target(settings.endpoint)
        except Problem as problem:
            raise Problem("address_invalid", where=Where(field="endpoint"), **problem.params) from problem
        if settings.addressing == "virtual":
            if target.is_number:
                raise Problem(
                    "address_invalid",
                    where=Where(field="addressing"),
                    detail="a bucket can only be put before a host name, not before an IP address",
                )
            self.target = replace(target, host=f"{settings.bucket.lower()}.{target.host}")
            self._root = encode_path(target.path or "/")
        else:
            self.target = target
            self._root = encode_path(f"{target.path}/{settings.bucket}")

    def check(self) -> str:
        """List the bucket's beginning, and look whether what it holds may be read."""
        files, more = self._page("", "", most=10)
        if not files:
            return "The bucket can be listed; it is empty."
        with self._opened("HEAD", files[0].key, {}):
            pass
        count = f"{len(files)} or more" if more else str(len(files))
        return f"The bucket can be listed and read. Files seen: {count}."

    def check_path(self, path: str) -> None:
        """Anything can be a prefix."""

    def files(self, folder: str) -> list[RemoteFile]:
        """Every file below a folder, or the one of that name."""
        folder = folder.strip("/")
        files = self._all(f"{folder}/" if folder else "")
        if not files and folder:
            files = [file for file in self._page(folder, "", most=1)[0] if file.key == folder]
        return files

    def read(self, file: RemoteFile) -> Iterator[bytes]:
        """The content of a file, as long as it is the one that was listed."""
        seconds = _PATIENCE + file.size / _SLOWEST
        with self._opened("GET", file.key, {"if-match": f'"{file.mark}"'}, seconds=seconds) as answer:
            mark = _mark(answer.headers.get("etag", ""))
            if mark != file.mark:
                raise Problem("source_changed", key=file.key, detail="its content changed")
            yield from answer.pieces()

    def _all(self, prefix: str) -> list[RemoteFile]:
        found: list[RemoteFile] = []
        after: str | None = ""
        while after is not None:
            page, after = self._page(prefix, after)
            found += page
            if len(found) > MOST_FILES:
                raise Problem("source_too_many", limit=MOST_FILES, path=prefix)
        return found

    def _page(self, prefix: str, after: str, *, most: int = _PAGE) -> tuple[list[RemoteFile], str | None]:
        """Some files, and where to go on; None at the end."""
        pairs = [("list-type", "2"), ("max-keys", str(most)), ("prefix", prefix)]
        if after:
            pairs.append(("continuation-token", after))
        query = encode_query(pairs)
        sent = self._signed("GET", self._root, query, {})
        answer = self._egress.ask("GET", self.target, f"{self._root}?{query}", sent)
        if answer.status != 200:
            raise self._problem(answer, "list", self._settings.bucket)
        return self._listing(answer)

    def _listing(self, answer: Answer) -> tuple[list[RemoteFile], str | None]:
        no_listing = Problem("remote_answer", host=self.target.host, status=answer.status)
        if b"<!" in answer.content:  # a DOCTYPE; no service sends one, and entities can explode
            raise no_listing
        try:
            root = ElementTree.fromstring(answer.content)
            if not root.tag.endswith("ListBucketResult"):
                raise no_listing
            space = root.tag.removesuffix("ListBucketResult")
            files = [
                RemoteFile(
                    entry.findtext(f"{space}Key", ""),
                    int(entry.findtext(f"{space}Size", "")),
                    _mark(entry.findtext(f"{space}ETag", "")),
                )
                for entry in root.iter(f"{space}Contents")
            ]
        except (ElementTree.ParseError, ValueError) as error:
            raise no_listing from error
        more = root.findtext(f"{space}IsTruncated") == "true"
        files = [file for file in files if file.key and not file.key.endswith("/")]
        return files, (root.findtext(f"{space}NextContinuationToken") or None) if more else None

    @contextmanager
    def _opened(
        self, method: str, key: str, headers: dict[str, str], *, seconds: float = _PATIENCE
    ) -> Iterator[Opened]:
        path = f"{self._root.rstrip('/')}/{encode_path(key)}"
        sent = self._signed(method, path, "", headers)
        with self._egress.open(method, self.target, path, sent, seconds=seconds) as answer:
            if answer.status != 200:
                content = b"".join(_beginning(answer))
                if answer.status == 404:
                    self._page(key, "", most=1)  # says so where the whole bucket is gone; some report the key
                raise self._problem(Answer(answer.status, answer.headers, content), "read", key)
            yield answer

    def _signed(self, method: str, path: str, query: str, headers: dict[str, str]) -> dict[str, str]:
        return signed_headers(
            method,
            self.target.authority,
            path,
            query,
            headers,
            access_key=self._settings.access_key.get_secret_value(),
            secret_key=self._settings.secret_key.get_secret_value(),
            region=self._settings.region,
            now=datetime.now(UTC),
        )

    def _problem(self, answer: Answer, verb: str, name: str) -> Problem:
        """What an error means. A HEAD has no body: its status has to do."""
        match = _CODE.search(answer.content[:8192])
        code = match[1].decode() if match else ""
        bucket = self._settings.bucket
        if code in _KEY_UNKNOWN:
            return Problem("remote_key", where=Where(field="access_key"))
        if code in _SIGNATURE:
            return Problem("remote_signature", where=Where(field="secret_key"))
        if code in _CLOCK:
            return Problem("remote_clock", seconds=_skew(answer))
        if code in _REGIONS or ("x-amz-bucket-region" in answer.headers and answer.status in (301, 400)):
            named = answer.headers.get("x-amz-bucket-region", "")
            region = named if _REGION.match(named) else "the service doesn't say which"
            return Problem("remote_region", where=Where(field="region"), name=bucket, region=region)
        if code in ("NoSuchBucket", "InvalidBucketName"):
            return Problem("remote_bucket", where=Where(field="bucket"), name=bucket)
        if verb == "read" and (answer.status in (404, 412) or code in ("NoSuchKey", "PreconditionFailed")):
            gone = answer.status == 404
            return Problem(
                "source_changed", key=name, detail="it no longer exists" if gone else "its content changed"
            )
        if code in _FORBIDDEN or answer.status in (401, 403):
            return Problem("remote_forbidden", verb=verb, name=name)
        if 300 <= answer.status < 400:
            return Problem("remote_redirect", host=self.target.host)
        return Problem("remote_answer", host=self.target.host, status=answer.status)


def connect(settings: Settings, egress: Egress) -> Bucket:
    return Bucket(settings, egress)


def _mark(etag: str) -> str:
    return etag.removeprefix("W/").strip('"')


def _beginning(answer: Opened, limit: int = 8192) -> Iterator[bytes]:
    """The first bytes of an answer; what follows is left unread."""
    for piece in answer.pieces():
        yield piece
        limit -= len(piece)
        if limit <= 0:
            return


def _skew(answer: Answer) -> int | str:
    try:
        theirs = parsedate_to_datetime(answer.headers.get("date", ""))
        return round(abs((datetime.now(UTC) - theirs).total_seconds()))
    except (ValueError, TypeError):
        return "many"
