"""A run's events as they happen: server-sent events, and going on after a broken connection without a gap.

`Follower` holds the state that both clients share: which event was the last, whether the end was reached.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import orjson

from tunery.schemas.event import EVENT


@dataclass(frozen=True)
class RunEvent:
    """One event of a run. `id` counts over all attempts of the run."""

    id: int
    type: str
    body: dict[str, Any]

    @classmethod
    def of(cls, body: dict[str, Any]) -> "RunEvent":
        return cls(int(body["id"]), str(body["type"]), body)

    @property
    def step(self) -> int:
        return int(self.body.get("step", 0))

    def typed(self) -> Any:
        """The event as its class in `tunery.schemas.event`.

        Raises ValidationError on a type this version doesn't know.
        """
        return EVENT.validate_python(self.body)


class Lines:
    """Cuts a stream's bytes at line feeds only: httpx also cuts at signs that texts may contain, such as U+2028."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, content: bytes) -> Iterator[str]:
        """The lines that `content` completes."""
        *whole, self._rest = (self._rest + content).split(b"\n")
        for line in whole:
            yield line.removesuffix(b"\r").decode("utf-8", errors="replace")


@dataclass
class Message:
    """One message of a server-sent stream."""

    id: str = ""
    event: str = ""
    data: str = ""


class Messages:
    """Puts lines of a stream together to messages."""

    def __init__(self) -> None:
        self._next = Message()
        self._data: list[str] = []

    def line(self, line: str) -> Message | None:
        """Take one line; returns a message when it ends one."""
        if line == "":
            whole, self._next = self._next, Message()
            whole.data, self._data = "\n".join(self._data), []
            return whole if whole.data or whole.event else None
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if name == "data":
            self._data.append(value)
        elif name == "event":
            self._next.event = value
        elif name == "id":
            self._next.id = value
        return None


class Follower:
    """Where a reader of one run's stream stands."""

    def __init__(self, run: str, after: int) -> None:
        self.path = f"/api/v1/runs/{run}/stream"
        self.last = after
        self.ended = False
        self._messages = Messages()

    def headers(self) -> dict[str, str]:
        """To begin right after the last event seen."""
        self._messages = Messages()
        return {"Accept": "text/event-stream", "Last-Event-ID": str(self.last)}

    def events(self, line: str) -> Iterator[RunEvent]:
        """The event that `line` completes, if any and if not seen before."""
        message = self._messages.line(line)
        if message is None:
            return
        if message.event == "end":
            self.ended = True
            return
        if not message.id.isdigit() or int(message.id) <= self.last:
            return
        self.last = int(message.id)
        body = orjson.loads(message.data)
        yield RunEvent(self.last, message.event or str(body.get("type", "")), body)
