"""Looks at the clock beside the server, and has started what schedules say, and the daily trim of finished runs.

What that is, `services.starts` and `services.retention` know.
"""

import asyncio
import contextlib
import logging
import time

from sqlalchemy.exc import OperationalError
from starlette.concurrency import run_in_threadpool

from tunery.db.engine import reading, writing
from tunery.server.state import ServerState
from tunery.services import retention, starts

_LOG = logging.getLogger("tunery.server")
_LOOK_SECONDS = 2.0
"""Schedules tell minutes; a start may be this late."""
_TRIM_SECONDS = 600.0
"""Between looks whether a day has passed since the last trim; the first is some time after the start."""


class Timekeeper:
    """Looks every two seconds, from `start` to `stop`."""

    def __init__(self, state: ServerState) -> None:
        self._state = state
        self._task: asyncio.Task[None] | None = None
        self._trim_at = time.monotonic() + _TRIM_SECONDS

    async def start(self) -> None:
        self._task = asyncio.create_task(self._keep(), name="timekeeper")

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    async def _keep(self) -> None:
        while True:
            await asyncio.sleep(_LOOK_SECONDS)
            try:
                await run_in_threadpool(self._look)
            except OperationalError as error:  # locked, full or gone for a while: what is due stays due
                _LOG.warning("schedules couldn't be looked at: %s", error.orig)

    def _look(self) -> None:
        state = self._state
        with reading(state.engine) as connection:
            due = starts.due(connection)
        for id in due:
            with writing(state.engine) as connection:
                starts.start_due(connection, state.settings, state.blobs, id)
        if time.monotonic() >= self._trim_at:
            self._trim_at = time.monotonic() + _TRIM_SECONDS
            with reading(state.engine) as connection:
                untrimmed = retention.due(connection)
            if untrimmed:
                with writing(state.engine) as connection:
                    retention.trim_due(connection, untrimmed)
