"""The outermost layer: what no request may do, whoever sends it, and what every answer carries.

Host must be a name of this server (a page that rebinds its DNS name to 127.0.0.1 is stopped here), the Origin
of a request that changes something must be the server itself (forged requests stop here), bodies have a limit,
and every answer has the security headers. It knows nothing of callers and routes.
"""

import ipaddress
from collections.abc import Collection
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect, Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tunery.api.problems import RefusedBody, Respond, problem_of
from tunery.core.errors import Problem
from tunery.core.ids import new_id

SECURITY_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'self'; script-src 'self'; style-src 'self'; img-src 'self' data:; object-src 'none'; "
        "frame-ancestors 'none'; base-uri 'none'; form-action 'self'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    # Not no-referrer: with that, browsers send `Origin: null` with the console's own forms.
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
BODY_LIMIT = 16 * 2**20
"""Bytes of a request that isn't an upload."""
FORM_OVERHEAD = 2**20
"""Bytes of an upload's form around its file."""
_SAFE = ("GET", "HEAD", "OPTIONS")


class Guard:
    """ASGI middleware; put it around everything else."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        respond: Respond,
        hosts: Collection[str],
        upload_paths: Collection[str],
        upload_limit: int,
    ) -> None:
        self._app = app
        self._respond = respond
        self._hosts = {host.lower() for host in hosts}
        self._upload_paths = frozenset(upload_paths)
        self._upload_limit = upload_limit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            return await self._app(scope, receive, send)
        if scope["type"] != "http":
            # There are no websockets; one opened by a new route would pass every check below.
            return await send({"type": "websocket.close", "code": 1008})
        answer = _Answer(send, path=scope["path"])
        request = Request(scope, receive)
        limit, too_much = self._limit(scope["path"])
        try:
            self._check(request)
            announced = request.headers.get("content-length", "0")
            if announced.isdecimal() and int(announced) > limit:
                raise too_much
            await self._app(scope, _limited(receive, limit, too_much), answer.send)
        except ClientDisconnect:
            return
        except Exception as error:
            problem = problem_of(request, error)
            if answer.started:
                # Half an answer is out: only a broken connection tells the client so.
                raise
            await self._respond(request, problem)(scope, receive, answer.send)

    def _limit(self, path: str) -> tuple[int, Problem]:
        """How many bytes a body may have there, and what to say when it has more."""
        if path in self._upload_paths or f"{path.rpartition('/')[0]}/*" in self._upload_paths:
            return self._upload_limit + FORM_OVERHEAD, Problem("too_large", limit=self._upload_limit)
        return BODY_LIMIT, Problem("body_too_large", limit=BODY_LIMIT)

    def _check(self, request: Request) -> None:
        host = request.headers.get("host", "")
        if not self._is_ours(host):
            raise Problem("foreign_host", host=host)
        if "\0" in request.scope["path"] or b"%00" in request.scope["query_string"]:
            raise Problem("no_such_address", method=request.method, path=request.url.path)
        if request.method not in _SAFE:
            _check_origin(request.headers, host)

    def _is_ours(self, host: str) -> bool:
        name = host_name(host)
        return name is not None and (name in self._hosts or is_loopback(name))


class _Answer:
    """Sends, with the headers every answer carries."""

    def __init__(self, send: Send, *, path: str) -> None:
        self._send = send
        self._cacheable = path.startswith("/static/")
        self.started = False

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.started = True
            headers = MutableHeaders(scope=message)
            for name, value in SECURITY_HEADERS.items():
                headers[name] = value
            headers.setdefault("X-Request-Id", new_id("req"))
            if not self._cacheable:
                headers["Cache-Control"] = "no-store"
        await self._send(message)


def _limited(receive: Receive, limit: int, problem: Problem) -> Receive:
    taken = 0

    async def counted() -> Message:
        nonlocal taken
        message = await receive()
        taken += len(message.get("body", b""))
        if taken > limit:
            raise RefusedBody(problem)
        return message

    return counted


def _check_origin(headers: Headers, host: str) -> None:
    origin = headers.get("origin")
    site = headers.get("sec-fetch-site")
    if origin is not None and not origin.lower().endswith(f"://{host.lower()}"):
        raise Problem("foreign_origin", origin=origin)
    if origin is None and site not in (None, "same-origin", "none"):
        raise Problem("foreign_origin", origin=site)


def host_name(host: str) -> str | None:
    """The name in a Host header, lower case, without the port; None when it isn't one."""
    try:
        parts = urlsplit(f"//{host}")
        parts.port  # noqa: B018 - raises when it isn't a number
    except ValueError:
        return None
    return parts.hostname if parts.netloc == host and not parts.username else None


def is_loopback(name: str) -> bool:
    """Whether a host name can only mean this machine."""
    if name == "localhost":
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False
