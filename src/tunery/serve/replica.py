"""One serving process, from start to end, with a thread of its own that starts it, watches it and reaps it.

It knows no targets and not who asks; the pool decides when it starts and when it must make room.
"""

import logging
import os
import socket
import subprocess
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path

import httpx

from tunery.core.errors import Problem
from tunery.core.process import child_environment
from tunery.core.settings import ServerSettings
from tunery.serve.backends.point import Backend

_START_SECONDS = 600.0
"""Loading a large base from a slow disk takes minutes, not hours."""
_STOP_SECONDS = 5.0
_TICK_SECONDS = 0.05
"""Between looks whether a replica that starts is ready: short beside the seconds it takes to load."""
_READ_SECONDS = 600.0
"""A replica silent for so long in the middle of an answer counts as gone."""
_TAIL_BYTES = 8192
_log = logging.getLogger(__name__)


class Replica:
    """A process that answers for one base folder."""

    def __init__(
        self,
        backend: Backend,
        base: Path,
        *,
        address: Path,
        log: Path,
        settings: ServerSettings,
        replaces: "Replica | None",
        idle: Callable[["Replica"], bool],
    ) -> None:
        self.backend = backend
        self.base = base
        self.users = 0
        """Answers under way; counted by the pool."""
        self.last_used = time.monotonic()
        self.ready: Future[None] = Future()
        # Waiters share it: one who gives up must not cancel it for the others.
        self.ready.set_running_or_notify_cancel()
        self._socket = address
        self._log = log
        self._settings = settings
        self._replaces = replaces
        self._idle = idle
        self._stopping = threading.Event()
        self._process: subprocess.Popen[bytes] | None = None
        # The kernel ends the process when the thread that started it ends, so that thread stays.
        self._thread = threading.Thread(target=self._live, name=f"replica {base.name}", daemon=True)

    def start(self) -> None:
        self._thread.start()

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process else None

    @property
    def ended(self) -> bool:
        """It answers no more, whether its thread knows already or not."""
        return self._stopping.is_set() or (self._process is not None and self._process.poll() is not None)

    def client(self) -> httpx.AsyncClient:
        """A connection to it for one answer."""
        transport = httpx.AsyncHTTPTransport(uds=str(self._socket), verify=False)
        timeout = httpx.Timeout(_READ_SECONDS, connect=5.0)
        return httpx.AsyncClient(transport=transport, base_url="http://replica", timeout=timeout)

    def stop(self) -> None:
        """End it and wait until it is gone."""
        self._stopping.set()
        self._thread.join()

    def _live(self) -> None:
        try:
            if self._replaces is not None:
                self._replaces.stop()
                self._replaces = None
            with self._log.open("ab") as log:
                begin = log.tell()
                self._process = subprocess.Popen(
                    self.backend.command(self.base, self._socket, self._settings),
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                    env={**child_environment(), "HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"},
                )
            self._wait_until_ready(self._process, begin)
            self._watch(self._process)
        except Problem as problem:
            self.ready.set_exception(problem)
        except OSError as error:
            self.ready.set_exception(self._failed(str(error)))
        finally:
            self._stopping.set()
            self._end_process()
            self._socket.unlink(missing_ok=True)

    def _wait_until_ready(self, process: subprocess.Popen[bytes], begin: int) -> None:
        deadline = time.monotonic() + _START_SECONDS
        while not self._answers():
            if process.poll() is not None:
                raise self._failed(self.backend.why_ended(self._tail(begin)))
            if self._stopping.is_set():
                raise self._failed("it was stopped while it started")
            if time.monotonic() > deadline:
                raise self._failed(f"it wasn't ready after {_START_SECONDS:.0f} seconds")
            time.sleep(_TICK_SECONDS)
        self.ready.set_result(None)

    def _answers(self) -> bool:
        # httpx leaves a socket open for every connection refused, and there are many until it listens.
        with socket.socket(socket.AF_UNIX) as probe:
            if probe.connect_ex(str(self._socket)) != 0:
                return False
        transport = httpx.HTTPTransport(uds=str(self._socket), verify=False)
        with httpx.Client(transport=transport, base_url="http://replica", timeout=5.0) as client:
            try:
                return client.get(self.backend.READY_PATH).is_success
            except httpx.TransportError:
                return False

    def _watch(self, process: subprocess.Popen[bytes]) -> None:
        while process.poll() is None:
            if self._stopping.wait(0.25):
                return
            if self._idle(self):
                _log.info("replica of %s: idle, stopped", self.base)
                return
        _log.warning(
            "replica of %s ended by itself (status %s), see %s", self.base, process.returncode, self._log
        )

    def _end_process(self) -> None:
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _tail(self, begin: int) -> str:
        """The end of what this process wrote to its log."""
        with self._log.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(begin, size - _TAIL_BYTES))
            return file.read().decode("utf-8", "replace")

    def _failed(self, detail: str) -> Problem:
        return Problem("replica_failed", name=self.base.name, detail=detail)
