"""Work that goes on beside the reading: hashing and writing let other threads run meanwhile."""

from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import ParamSpec

P = ParamSpec("P")


class Beside:
    """Does jobs one after the other in a thread of its own; at most `waiting` wait, so memory stays bounded."""

    def __init__(self, *, waiting: int = 8) -> None:
        self._waiting = waiting
        self._pool = ThreadPoolExecutor(1)
        self._jobs: deque[Future[None]] = deque()

    def add(self, job: Callable[P, None], *args: P.args, **kwargs: P.kwargs) -> None:
        """Do `job(…)` after those before it. Raises what one of these raised."""
        self._jobs.append(self._pool.submit(job, *args, **kwargs))
        while len(self._jobs) > self._waiting or (self._jobs and self._jobs[0].done()):
            self._jobs.popleft().result()

    def finish(self) -> None:
        """Wait for every job. Raises what one of them raised."""
        while self._jobs:
            self._jobs.popleft().result()

    def close(self) -> None:
        """Give up what hasn't begun."""
        self._pool.shutdown(cancel_futures=True)
