"""Keeps one worker process alive beside the server, and ends it with the server.

The kernel ends the worker when this process is killed; engines it started live on and the next worker takes
them over. What a worker does is not known here.
"""

import asyncio
import contextlib
import logging
import os
import sys
import time
from pathlib import Path

import orjson

from tunery.core.folder import DataFolder
from tunery.core.settings import ServerSettings

_LOG = logging.getLogger("tunery.server")
_FIRST_WAIT = 0.5
_LONGEST_WAIT = 30.0
_STEADY_SECONDS = 60.0
"""A worker that lived so long starts the back-off anew."""
_PATIENCE = 6.0
"""Seconds a worker gets to save before it is killed; its claims expire by themselves."""
_LOG_BYTES = 10 * 2**20


class WorkerKeeper:
    """Starts the worker, starts it again when it ends, stops it at the end."""

    def __init__(self, settings: ServerSettings) -> None:
        self._settings = settings
        self._log = DataFolder(settings.folder).logs / "worker.log"
        self._task: asyncio.Task[None] | None = None
        self.process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        self._task = asyncio.create_task(self._keep(), name="worker keeper")

    async def stop(self) -> None:
        """End the worker: politely, then at once."""
        if self._task is None:
            return
        self._task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._task
        process = self.process
        if process is None or process.returncode is not None:
            return
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        try:
            await asyncio.wait_for(process.wait(), _PATIENCE)
        except TimeoutError:
            _LOG.warning("the worker (process %s) didn't end in %s s and is killed", process.pid, _PATIENCE)
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()

    async def _keep(self) -> None:
        wait = _FIRST_WAIT
        while True:
            started = time.monotonic()
            try:
                self.process = await self._spawn()
                code = await self.process.wait()
                _LOG.warning("the worker ended with code %s; see %s", code, self._log)
            except OSError as error:
                _LOG.warning("the worker can't be started: %s", error)
            if time.monotonic() - started > _STEADY_SECONDS:
                wait = _FIRST_WAIT
            await asyncio.sleep(wait)
            wait = min(_LONGEST_WAIT, wait * 2)

    async def _spawn(self) -> asyncio.subprocess.Process:
        _roll(self._log)
        with self._log.open("ab") as log:
            # A session of its own: Ctrl-C in the terminal is the server's to handle.
            return await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "tunery.jobs",
                "--data",
                str(self._settings.folder),
                "--parent",
                str(os.getpid()),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=os.environ | settings_as_environment(self._settings),
                start_new_session=True,
            )


def settings_as_environment(settings: ServerSettings) -> dict[str, str]:
    """The settings someone chose, as the variables that another process reads them from."""
    chosen = settings.model_dump(mode="json", include=settings.model_fields_set - {"data"})
    return {
        f"TUNERY_{name.upper()}": value if isinstance(value, str) else orjson.dumps(value).decode()
        for name, value in chosen.items()
    }


def _roll(log: Path) -> None:
    """Keep a log from growing without end: one old one is kept."""
    if log.exists() and log.stat().st_size > _LOG_BYTES:
        log.replace(log.with_suffix(".log.1"))
