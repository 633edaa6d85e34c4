"""A call: one request to the server as data, with how to read its answer. A flow: several calls in order.

Neither is sent here. `endpoint` and `flow` turn a function that describes them into a method which, on a
resource of `Client`, sends at once and, on one of `AsyncClient`, is awaited: each route is written once.
"""

from collections.abc import Awaitable, Callable, Generator
from dataclasses import dataclass, field
from functools import wraps
from typing import Any, ClassVar, Generic, ParamSpec, Protocol, Self, TypeVar, overload
from urllib.parse import quote

from pydantic import TypeAdapter

T = TypeVar("T")
P = ParamSpec("P")
Sent = Callable[[int, int], None]
"""Called while a file is sent, with (bytes sent, bytes in all)."""


@dataclass(frozen=True)
class Call(Generic[T]):
    """One request. `safe`: sending it twice does no harm, so it is sent again when the connection fails."""

    method: str
    path: str
    read: Callable[[bytes], T]
    query: dict[str, Any] = field(default_factory=dict)
    body: Any = None
    content: bytes | None = None
    """Bytes to send as they are."""
    headers: dict[str, str] = field(default_factory=dict)
    safe: bool = False


@dataclass(frozen=True)
class Pause:
    """A step of a flow: wait."""

    seconds: float


Step = Call[Any] | Pause
Flow = Generator[Step, Any, T]


def send(call: Call[T]) -> Flow[T]:
    """Within a flow: `answer = yield from send(call)`. Raises the Problem that the server answers with."""
    return (yield call)


def as_json(kind: type[T]) -> Callable[[bytes], T]:
    """A reader of JSON answers of a type. Fields that only a newer server knows are passed over."""
    adapter = TypeAdapter(kind)

    def read(answer: bytes) -> T:
        return adapter.validate_json(answer, extra="ignore")

    return read


def segment(name: str | int) -> str:
    """A name as one segment of a path."""
    return quote(str(name), safe="")


def nothing(answer: bytes) -> None:
    """The reader of an answer without content."""


class Sender(Protocol):
    """Sends and returns the answer."""

    def send(self, call: Call[T]) -> T: ...
    def run(self, flow: Flow[T]) -> T: ...


class AsyncSender(Protocol):
    """Sends and returns an awaitable of the answer."""

    async def send(self, call: Call[T]) -> T: ...
    async def run(self, flow: Flow[T]) -> T: ...


S = TypeVar("S", bound=Sender | AsyncSender, covariant=True)


class Resource(Generic[S]):
    """A noun of the API on a client."""

    def __init__(self, sender: S) -> None:
        self._sender = sender


class _Method(Generic[P, T]):
    """A method of a resource: says what is to be sent; the resource's sender sends it."""

    _how: ClassVar[str]
    """The sender's method."""

    def __init__(self, describe: Callable[P, Any]) -> None:
        self.describe = describe
        self.__doc__ = describe.__doc__

    @overload
    def __get__(self, resource: Resource[Sender], owner: type) -> Callable[P, T]: ...
    @overload
    def __get__(self, resource: Resource[AsyncSender], owner: type) -> Callable[P, Awaitable[T]]: ...
    @overload
    def __get__(self, resource: None, owner: type) -> Self: ...
    def __get__(self, resource: Resource[Any] | None, owner: type) -> Any:
        if resource is None:
            return self
        send_it = getattr(resource._sender, self._how)

        @wraps(self.describe)
        def method(*args: P.args, **kwargs: P.kwargs) -> Any:
            return send_it(self.describe(*args, **kwargs))

        return method


class endpoint(_Method[P, T]):
    """A method of a resource that sends one call."""

    _how = "send"

    def __init__(self, describe: Callable[P, Call[T]]) -> None:
        super().__init__(describe)


class flow(_Method[P, T]):
    """A method of a resource that sends several calls."""

    _how = "run"

    def __init__(self, describe: Callable[P, Flow[T]]) -> None:
        super().__init__(describe)
