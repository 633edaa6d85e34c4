"""Keeps a replica per base folder: started on first use, kept while it is used, stopped when idle or in the way.

Safe to use from any thread and any event loop. It knows no database: what a name leads to is a Target.
"""

import asyncio
import hashlib
import shutil
import tempfile
import threading
import time
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import httpx

from tunery.core.errors import Problem
from tunery.core.folder import DataFolder
from tunery.core.settings import ServerSettings
from tunery.schemas.serving import EndLine, GenerateRequest, ProblemLine, TextLine
from tunery.serve.backends.point import BACKENDS, Backend
from tunery.serve.replica import Replica
from tunery.serve.router import Target

_BACKEND = "transformers"
_ROOM_SECONDS = 60.0
"""How long a request waits for another model's replica to become free."""
_FAILURE_SECONDS = 10.0
"""A base that couldn't be started isn't tried again for so long."""
_POLL_SECONDS = 0.05
"""Between looks for a free place: what somebody who waits for an answer doesn't notice."""


State = Literal["idle", "starting", "ready", "failed"]


@dataclass(frozen=True)
class _Failure:
    problem: Problem
    at: float


class ReplicaPool:
    """Answers for targets. `close` ends every replica."""

    def __init__(self, settings: ServerSettings, folder: Path, *, backend: Backend | None = None) -> None:
        self._settings = settings
        self._logs = DataFolder(folder).logs
        self._logs.mkdir(parents=True, exist_ok=True)
        self._sockets: Path | None = None
        self._backend = backend or BACKENDS.load(_BACKEND)
        self._lock = threading.Lock()
        self._replicas: dict[Path, Replica] = {}
        self._failures: dict[Path, _Failure] = {}
        self._started = 0
        self._closed = False

    async def answer(
        self, target: Target, request: GenerateRequest
    ) -> AsyncGenerator[TextLine | EndLine, None]:
        """Ask a target. Close the iterator to give the answer up.

        Raises Problem, also in the middle of the answer. A replica that dies before its first word is
        replaced and asked once more.
        """
        for last_try in (False, True):
            spoken = False
            async with self._using(target) as replica, replica.client() as client:
                try:
                    async for line in self._backend.answer(client, target, request):
                        if isinstance(line, ProblemLine):
                            raise _named(Problem.from_dict(line.problem), target)
                        spoken = True
                        yield line
                    return
                except httpx.TransportError as error:
                    await _let_end(replica)
                    if spoken or last_try:
                        detail = "its process exited" if replica.ended else f"{error or type(error).__name__}"
                        raise Problem("answer_broken_off", name=target.name, detail=detail) from error

    def state(self, target: Target) -> State:
        """Whether a target would answer at once."""
        with self._lock:
            replica = self._replicas.get(target.base_folder)
            failed = target.base_folder in self._failures
        if replica is not None and not replica.ended:
            return "ready" if replica.ready.done() else "starting"
        return "failed" if failed else "idle"

    def failure(self, target: Target) -> dict[str, Any] | None:
        """Why the target's replica couldn't be started the last time it was tried."""
        with self._lock:
            failure = self._failures.get(target.base_folder)
        return None if failure is None else _named(failure.problem, target).as_dict()

    def processes(self) -> dict[Path, int | None]:
        """The process id of every replica, by base folder."""
        with self._lock:
            return {base: replica.pid for base, replica in self._replicas.items()}

    def close(self) -> None:
        """End every replica and wait for them."""
        with self._lock:
            self._closed = True
            replicas = list(self._replicas.values())
            self._replicas.clear()
        for replica in replicas:
            replica.stop()
        if self._sockets is not None:
            shutil.rmtree(self._sockets, ignore_errors=True)

    @asynccontextmanager
    async def _using(self, target: Target) -> AsyncIterator[Replica]:
        """A ready replica that isn't stopped meanwhile."""
        replica = await self._acquire(target)
        try:
            await asyncio.wrap_future(replica.ready)
            yield replica
        except Problem as problem:
            if replica.ready.done() and replica.ready.exception() is problem:
                self._note_failure(replica, problem)
                raise _named(problem, target) from problem
            raise
        finally:
            with self._lock:
                replica.users -= 1
                replica.last_used = time.monotonic()

    async def _acquire(self, target: Target) -> Replica:
        deadline = time.monotonic() + _ROOM_SECONDS
        while (replica := self._try_acquire(target)) is None:
            if time.monotonic() > deadline:
                raise Problem("replicas_taken", limit=self._settings.max_replicas)
            await asyncio.sleep(_POLL_SECONDS)
        return replica

    def _try_acquire(self, target: Target) -> Replica | None:
        """The target's replica, started where need be; None while there is no room for it."""
        base = target.base_folder
        with self._lock:
            if self._closed:
                raise Problem("replica_failed", name=target.name, detail="the server is shutting down")
            self._replicas = {key: each for key, each in self._replicas.items() if not each.ended}
            replica = self._replicas.get(base)
            if replica is None:
                self._refuse_if_failed_lately(target)
                victim = None
                if len(self._replicas) >= self._settings.max_replicas:
                    victim = self._least_recently_used()
                    if victim is None:
                        return None
                    del self._replicas[victim.base]
                replica = self._replicas[base] = self._start(base, victim)
            replica.users += 1
            return replica

    def _start(self, base: Path, replaces: Replica | None) -> Replica:
        if self._sockets is None:
            # Not under the data folder: a socket's path has room for 107 bytes only.
            self._sockets = Path(tempfile.mkdtemp(prefix="tunery-"))
        self._started += 1
        name = f"{base.name}-{hashlib.sha256(str(base).encode()).hexdigest()[:8]}"
        replica = Replica(
            self._backend,
            base,
            address=self._sockets / f"{self._started}.sock",
            log=self._logs / f"replica-{name[-80:]}.log",
            settings=self._settings,
            replaces=replaces,
            idle=self._retire_if_idle,
        )
        replica.start()
        return replica

    def _least_recently_used(self) -> Replica | None:
        unused = [replica for replica in self._replicas.values() if replica.users == 0]
        return min(unused, key=lambda replica: replica.last_used, default=None)

    def _retire_if_idle(self, replica: Replica) -> bool:
        """Called by a replica's own thread: True when it must end now. Nobody can take it up any more then."""
        with self._lock:
            rested = time.monotonic() - replica.last_used
            if replica.users or rested < self._settings.replica_idle_seconds:
                return False
            if self._replicas.get(replica.base) is replica:
                del self._replicas[replica.base]
            return True

    def _note_failure(self, replica: Replica, problem: Problem) -> None:
        with self._lock:
            if not self._closed:
                self._failures[replica.base] = _Failure(problem, time.monotonic())

    def _refuse_if_failed_lately(self, target: Target) -> None:
        failure = self._failures.get(target.base_folder)
        if failure is None:
            return
        if time.monotonic() - failure.at < _FAILURE_SECONDS:
            raise _named(failure.problem, target)
        del self._failures[target.base_folder]


async def _let_end(replica: Replica) -> None:
    """A lost connection mostly means a dying process; a moment later that is certain."""
    for _ in range(20):
        if replica.ended:
            return
        await asyncio.sleep(_POLL_SECONDS)


def _named(problem: Problem, target: Target) -> Problem:
    """The problem under the name that was asked for, not the folder's or none."""
    if "name" not in problem.params or problem.code == "unknown_adapter":
        return problem
    return Problem(problem.code, where=problem.where, **{**problem.params, "name": target.name})
