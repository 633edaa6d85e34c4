"""Every request to an address that a user gave goes through here.

A name is resolved once, every address it leads to is judged by `reach`, and the connection is made to one that was
judged: a name can't lead elsewhere a moment later. Redirects aren't followed, proxies of the environment aren't
used, and every request has a time to be over. What the other side says in an error is never passed on.
"""

import socket
import ssl
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from ipaddress import ip_address
from types import TracebackType
from typing import Any, Self

import certifi
import httpcore

from tunery.core.errors import Problem
from tunery.core.reach import Address, Allowance, Target, check_address

CONNECT_SECONDS = 5.0
READ_SECONDS = 20.0
ANSWER_SECONDS = 30.0
"""Time for a whole request with a small answer."""
ANSWER_BYTES = 16 << 20

Resolve = Callable[[str, int], Sequence[Address]]


def lookup(host: str, port: int) -> Sequence[Address]:
    """The addresses of a name, or the one it spells (0x7f.1 is one, too). Raises Problem `remote_host_unknown`."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise Problem("remote_host_unknown", host=host) from error
    return list(dict.fromkeys(ip_address(str(entry[4][0]).partition("%")[0]) for entry in found))


@dataclass(frozen=True)
class Answer:
    """A whole answer."""

    status: int
    headers: Mapping[str, str]
    """By name in small letters."""
    content: bytes


class Egress:
    """Sends requests under the rules above. For one thread."""

    def __init__(
        self,
        allowed: Sequence[Allowance],
        *,
        resolve: Resolve = lookup,
        read_seconds: float = READ_SECONDS,
        answer_seconds: float = ANSWER_SECONDS,
    ) -> None:
        self._deadline = _Deadline()
        self._read_seconds = read_seconds
        self._answer_seconds = answer_seconds
        self._backend = _Guarded(allowed, resolve, self._deadline)
        self._pool = httpcore.ConnectionPool(
            ssl_context=_trust(),
            max_connections=2,
            keepalive_expiry=15.0,
            network_backend=self._backend,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._pool.close()

    def judge(self, target: Target) -> None:
        """Whether anything may be sent there, as its name leads now. Raises as `ask` does before it sends."""
        self._backend.judged(target.host, target.port)

    def ask(
        self, method: str, target: Target, path: str, headers: Mapping[str, str], *, limit: int = ANSWER_BYTES
    ) -> Answer:
        """A request whose answer is small. `path` is sent as it stands: percent-encoded, with its query.

        Raises Problem `address_private`, `address_forbidden`, `remote_host_unknown`, `remote_unreachable`,
        `remote_tls`, `remote_timeout`, `remote_broken`.
        """
        with self.open(method, target, path, headers, seconds=self._answer_seconds) as answer:
            content = bytearray()
            for piece in answer.pieces():
                content += piece
                if len(content) > limit:
                    raise Problem("remote_broken", host=target.host)
            return Answer(answer.status, answer.headers, bytes(content))

    @contextmanager
    def open(
        self, method: str, target: Target, path: str, headers: Mapping[str, str], *, seconds: float
    ) -> Iterator["Opened"]:
        """A request whose answer is read piece by piece, over within `seconds`. Raises as `ask`."""
        url = httpcore.URL(scheme=target.scheme, host=target.host, port=target.port, target=path)
        sent = [("Host", target.authority), ("User-Agent", "tunery"), ("Connection", "keep-alive")]
        sent += [(name, value) for name, value in headers.items()]
        self._deadline.set(seconds)
        limits = {
            "connect": CONNECT_SECONDS,
            "read": self._read_seconds,
            "write": self._read_seconds,
            "pool": 1.0,
        }
        with (
            _named(target),
            self._pool.stream(method, url, headers=sent, extensions={"timeout": limits}) as answer,
        ):
            yield Opened(answer)


class Opened:
    """An answer that has begun."""

    def __init__(self, answer: httpcore.Response) -> None:
        self._answer = answer
        self.status = answer.status
        self.headers = {
            name.decode("latin-1").lower(): value.decode("latin-1") for name, value in answer.headers
        }

    def pieces(self) -> Iterator[bytes]:
        """Its content."""
        return self._answer.iter_stream()


@contextmanager
def _named(target: Target) -> Iterator[None]:
    """What goes wrong on the way, as a Problem."""
    try:
        yield
    except httpcore.TimeoutException as error:
        raise Problem("remote_timeout", host=target.host) from error
    except (httpcore.NetworkError, httpcore.ProtocolError) as error:
        raise Problem("remote_broken", host=target.host) from error


class _Deadline:
    """The moment at which the request under way must be over."""

    def __init__(self) -> None:
        self._at = 0.0

    def set(self, seconds: float) -> None:
        self._at = time.monotonic() + seconds

    def left(self, most: float | None) -> float:
        """Seconds that the next step may take. Raises httpcore.ReadTimeout."""
        left = self._at - time.monotonic()
        if left <= 0:
            raise httpcore.ReadTimeout("the request timed out")
        return left if most is None else min(left, most)


class _Guarded(httpcore.NetworkBackend):
    """Opens connections, to judged addresses only."""

    def __init__(self, allowed: Sequence[Allowance], resolve: Resolve, deadline: _Deadline) -> None:
        self._allowed = allowed
        self._resolve = resolve
        self._deadline = deadline
        self._inner = httpcore.SyncBackend()

    def judged(self, host: str, port: int) -> Sequence[Address]:
        """The addresses of a host, all of which may be reached."""
        addresses = self._resolve(host, port)
        for address in addresses:
            check_address(host, port, address, self._allowed)
        return addresses

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        addresses = self.judged(host, port)
        refused: Exception | None = None
        for address in addresses:
            try:
                limit = self._deadline.left(timeout)
                return _Timed(self._inner.connect_tcp(str(address), port, limit), self._deadline, host)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                refused = error
        raise _unreachable(host, port, refused) from refused


def _unreachable(host: str, port: int, error: Exception | None) -> Problem:
    if isinstance(error, httpcore.ConnectTimeout):
        return Problem("remote_timeout", host=host)
    cause = error.__cause__ if error else None
    detail = cause.strerror if isinstance(cause, OSError) and cause.strerror else "no address"
    return Problem("remote_unreachable", host=host, port=port, detail=detail[:1].lower() + detail[1:])


class _Timed(httpcore.NetworkStream):
    """A connection on which nothing goes on past the deadline, however slowly bytes drip."""

    def __init__(self, inner: httpcore.NetworkStream, deadline: _Deadline, host: str) -> None:
        self._inner = inner
        self._deadline = deadline
        self._host = host

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._inner.read(max_bytes, self._deadline.left(timeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._inner.write(buffer, self._deadline.left(timeout))

    def close(self) -> None:
        self._inner.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        try:
            inner = self._inner.start_tls(ssl_context, server_hostname, self._deadline.left(timeout))
        except httpcore.ConnectError as error:
            raise Problem("remote_tls", host=self._host, detail=_tls_detail(error.__cause__)) from error
        return _Timed(inner, self._deadline, self._host)

    def get_extra_info(self, info: str) -> Any:
        return self._inner.get_extra_info(info)


def _tls_detail(error: BaseException | None) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return error.verify_message or "its certificate isn't trusted"
    if isinstance(error, ssl.SSLError) and error.reason in ("WRONG_VERSION_NUMBER", "HTTP_REQUEST"):
        return "it speaks plain HTTP at that port"
    return "the TLS handshake failed"


@cache
def _trust() -> ssl.SSLContext:
    """The certificates of this machine (or of SSL_CERT_FILE), and those that come with certifi."""
    context = ssl.create_default_context()
    context.load_verify_locations(certifi.where())
    return context
