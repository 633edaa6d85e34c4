"""Data sets of a model hub, by name, through the HTTP interface that Hugging Face's hub and its mirrors have.

A name is pinned to a commit when it is listed, so what is read later is what was listed; each file's hash is checked.
Files may lie on another host: such a redirect is followed, judged like any address, without the token.
"""

import hashlib
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated
from urllib.parse import quote, urljoin, urlsplit, urlunsplit

import orjson
from pydantic import Field, StringConstraints

from tunery.connections.kinds.point import RemoteFile
from tunery.core.egress import Answer, Egress, Opened
from tunery.core.errors import Problem, Where
from tunery.core.reach import Target, parse_target
from tunery.schemas.base import Schema
from tunery.schemas.connection import Secret

API_VERSION = 1
TITLE = "Model hub"
HELP = "Datasets on huggingface.co, or on a server with the same API."
PATH_HELP = "The dataset as OWNER/NAME or OWNER/NAME@REVISION; a folder or file in it may follow."

MOST_FILES = 10_000
_SLOWEST = 64 * 1024
_PATIENCE = 60.0
_REDIRECTS = 3
_PATH = re.compile(
    r"^(?P<name>[\w.-]{1,96}/[\w.-]{1,96})(@(?P<revision>[\w.-]{1,128}))?(/(?P<inside>.+))?$", re.ASCII
)
_NEXT = re.compile(r'<([^<>\s]+)>;\s*rel="next"')
_SHA = re.compile(r"^[0-9a-f]{40,64}$")


class Settings(Schema):
    """What a model hub needs."""

    endpoint: Annotated[
        str, StringConstraints(strip_whitespace=True, min_length=1, max_length=256), Field(title="Endpoint")
    ] = "https://huggingface.co"
    """Address of the hub."""
    token: Annotated[Secret | None, Field(title="Token")] = None
    """Access token, for private or gated datasets."""


class Hub:
    """An open connection to one hub."""

    def __init__(self, settings: Settings, egress: Egress) -> None:
        self._egress = egress
        self._token = settings.token
        try:
            self.target = parse_target(settings.endpoint)
        except Problem as problem:
            raise Problem("address_invalid", where=Where(field="endpoint"), **problem.params) from problem

    def check(self) -> str:
        """Ask for one data set, and who the token is."""
        self._ask("/api/datasets?limit=1", "the hub")
        if self._token is None:
            return "The hub answers. Without a token, only public datasets can be read."
        self._ask("/api/whoami-v2", "the hub")
        return "The hub answers and accepts the token."

    def check_path(self, path: str) -> None:
        """It names a data set."""
        _split(path)

    def files(self, folder: str) -> list[RemoteFile]:
        """Every file of a data set, or of a folder of it."""
        name, revision, inside = _split(folder)
        found = self._ask(f"/api/datasets/{name}/revision/{quote(revision, safe='')}", name)
        commit = found.get("sha") if isinstance(found, dict) else None
        if not isinstance(commit, str) or not _SHA.match(commit):
            raise self._no_hub()
        listed = self._tree(name, commit)
        prefix = f"{inside}/" if inside else ""
        return [file for path, file in listed if path.startswith(prefix) or path == inside]

    def read(self, file: RemoteFile) -> Iterator[bytes]:
        """The content of a file; its hash is checked at the end."""
        name, revision, inside = _split(file.key)
        path = f"{self.target.path}/datasets/{name}/resolve/{revision}/{quote(inside)}"
        kind, _, wanted = file.mark.partition(":")
        hashed = hashlib.sha256() if kind == "sha256" else hashlib.sha1(b"blob %d\0" % file.size)
        with self._followed(path, file, _REDIRECTS) as answer:
            for piece in answer.pieces():
                hashed.update(piece)
                yield piece
        if hashed.hexdigest() != wanted:
            raise Problem("source_changed", key=file.key, detail="its content changed")

    def _tree(self, name: str, commit: str) -> Iterator[tuple[str, RemoteFile]]:
        path, seen = f"/api/datasets/{name}/tree/{commit}?recursive=true", 0
        while path:
            answer = self._answer(path, name)
            entries = self._json(answer)
            if not isinstance(entries, list):
                raise self._no_hub()
            seen += len(entries)
            if seen > MOST_FILES:
                raise Problem("source_too_many", limit=MOST_FILES, path=name)
            for entry in entries:
                try:
                    if entry["type"] != "file":
                        continue
                    large = entry.get("lfs")
                    mark = f"sha256:{large['oid']}" if large else f"sha1:{entry['oid']}"
                    inside, size = str(entry["path"]), int(entry["size"])
                except (KeyError, TypeError, ValueError, AttributeError) as error:
                    raise self._no_hub() from error
                yield inside, RemoteFile(f"{name}@{commit}/{inside}", size, mark)
            path = self._next_page(answer)

    def _next_page(self, answer: Answer) -> str:
        """The address of the list's next part, on the same host; empty at the end."""
        link = _NEXT.search(answer.headers.get("link", ""))
        if link is None:
            return ""
        parts = urlsplit(link[1])
        return urlunsplit(("", "", parts.path, parts.query, "")).removeprefix(self.target.path)

    @contextmanager
    def _followed(self, path: str, file: RemoteFile, redirects: int) -> Iterator[Opened]:
        target, seconds = self.target, _PATIENCE + file.size / _SLOWEST
        headers = self._headers()
        for _ in range(redirects + 1):
            with self._egress.open("GET", target, path, headers, seconds=seconds) as answer:
                if answer.status == 200:
                    yield answer
                    return
                if answer.status not in (301, 302, 303, 307, 308):
                    raise self._problem(answer.status, file.key)
                place = answer.headers.get("location", "")
            before = target
            target, path = _next(target, path, place)
            if (target.scheme, target.host, target.port) != (before.scheme, before.host, before.port):
                headers = {}
        raise Problem("remote_redirect", host=self.target.host)

    def _ask(self, path: str, name: str) -> object:
        return self._json(self._answer(path, name))

    def _answer(self, path: str, name: str) -> Answer:
        answer = self._egress.ask("GET", self.target, f"{self.target.path}{path}", self._headers())
        if answer.status != 200:
            raise self._problem(answer.status, name)
        return answer

    def _json(self, answer: Answer) -> object:
        try:
            return orjson.loads(answer.content)
        except orjson.JSONDecodeError as error:
            raise self._no_hub() from error

    def _headers(self) -> dict[str, str]:
        return {} if self._token is None else {"authorization": f"Bearer {self._token.get_secret_value()}"}

    def _problem(self, status: int, name: str) -> Problem:
        if status == 401 and self._token is not None:
            return Problem("remote_key", where=Where(field="token"))
        if status in (401, 403):
            return Problem("remote_forbidden", verb="read", name=name)
        if status == 404:
            return Problem("remote_bucket", name=name)
        if 300 <= status < 400:
            return Problem("remote_redirect", host=self.target.host)
        return Problem("remote_answer", host=self.target.host, status=status)

    def _no_hub(self) -> Problem:
        return Problem("remote_answer", host=self.target.host, status=200)


def connect(settings: Settings, egress: Egress) -> Hub:
    return Hub(settings, egress)


def _split(path: str) -> tuple[str, str, str]:
    """Name, revision and what is inside. Raises Problem `invalid_request`."""
    match = _PATH.match(path.strip("/"))
    if match is None or ".." in path.split("/"):
        raise Problem("invalid_request", where=Where(field="path"), detail=f"path: {PATH_HELP}")
    return match["name"], match["revision"] or "main", match["inside"] or ""


def _next(target: Target, path: str, place: str) -> tuple[Target, str]:
    """Where a redirect leads; never from https to http. Raises Problem `address_invalid`, `remote_redirect`."""
    parts = urlsplit(urljoin(f"{target.scheme}://{target.authority}{path}", place))
    there = parse_target(urlunsplit((parts.scheme, parts.netloc, "", "", "")))
    if target.scheme == "https" and there.scheme != "https":
        raise Problem("remote_redirect", host=target.host)
    return there, urlunsplit(("", "", parts.path or "/", parts.query, ""))
