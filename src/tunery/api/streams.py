"""A run's events as they happen, for one reader: looked up in short transactions, none of which stays open.

A reader that comes back says which event was its last and misses none. The stream ends with the run, with its
reader, and when the server closes; a comment every 15 seconds makes proxies keep the line open.
"""

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Annotated, Any

import anyio
import anyio.to_thread
import orjson
from fastapi import Header
from starlette.requests import Request
from starlette.responses import StreamingResponse

from tunery.api.auth import Project
from tunery.core.errors import Problem, Where
from tunery.services import runs
from tunery.services.context import Context
from tunery.services.find_run import need_run

_AT_ONCE = 500
"""Events per look-up."""
_EAGER_SECONDS = 0.25
_IDLE_SECONDS = 1.0
_SILENCE_SECONDS = 15.0
# All streams share these threads, so that a hundred readers can't take the handlers' threads away.
_THREADS = anyio.CapacityLimiter(4)


@dataclass(frozen=True)
class Followed:
    """What is followed, from which event on."""

    state: Any
    project: str
    run: str
    after: int

    def look(self, after: int) -> tuple[list[dict[str, Any]], str]:
        """New events, and the run's state when they were read."""
        with self.state.context(self.project, write=False) as context:
            return _look(context, self.run, after)


def _look(context: Context, run: str, after: int) -> tuple[list[dict[str, Any]], str]:
    return runs.events(context, run, after, _AT_ONCE), need_run(context, run).state


def followed_run(
    request: Request,
    project: Project,
    run: str,
    last_event_id: Annotated[
        str | None, Header(description="The id of the last event the client has; only later events are sent.")
    ] = None,
) -> Followed:
    """FastAPI dependency. Raises Problem `not_found` while an answer with a status is still possible."""
    after = last_event_id or "0"
    if not (after.isascii() and after.isdecimal() and len(after) < 19):
        raise Problem(
            "invalid_request", where=Where(field="Last-Event-ID"), detail="Last-Event-ID isn't a number."
        )
    followed = Followed(request.app.state.tunery, project, run, int(after))
    followed.look(followed.after)
    return followed


class EventStream(StreamingResponse):
    """An answer of server-sent events. Not FastAPI's own: that logs a traceback for every reader who leaves."""

    media_type = "text/event-stream"

    def __init__(self, events: AsyncIterator[bytes], status_code: int = 200) -> None:
        super().__init__(events, status_code, {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"})


def _event(id: int, type: str, data: dict[str, Any]) -> bytes:
    return b"id: %d\nevent: %s\ndata: %s\n\n" % (id, type.encode(), orjson.dumps(data))


async def follow(followed: Followed) -> AsyncIterator[bytes]:
    """Every event after the one the reader has, then `end`."""
    after, wait = followed.after, _EAGER_SECONDS
    said = time.monotonic()
    closing: asyncio.Event = followed.state.closing
    while not closing.is_set():
        events, state = await anyio.to_thread.run_sync(followed.look, after, limiter=_THREADS)
        for event in events:
            after = event["id"]
            yield _event(after, event["type"], event)
            said = time.monotonic()
        if len(events) == _AT_ONCE:
            continue
        if runs.ended(state):
            yield _event(after, "end", {"state": state})
            return
        if time.monotonic() - said > _SILENCE_SECONDS:
            yield b": still here\n\n"
            said = time.monotonic()
        wait = _EAGER_SECONDS if events else min(_IDLE_SECONDS, wait * 1.2)
        with anyio.move_on_after(wait):
            await closing.wait()
