"""Work that goes on beside the reading: hashing and writing let other threads run meanwhile."""

from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cache
from typing import ParamSpec

P = ParamSpec("P")
WAITING_BYTES = 8 << 20
_KEPT_BYTES = 16 << 20


class Beside:
    """Does jobs one after the other in a thread of its own; what waits for it has a bounded size."""

    def __init__(self) -> None:
        _keep_freed_memory()
        self._pool = ThreadPoolExecutor(1)
        self._jobs: deque[tuple[Future[None], int]] = deque()
        self._waiting = 0

    def add(self, size: int, job: Callable[P, None], *args: P.args, **kwargs: P.kwargs) -> None:
        """Do `job(…)`, which holds `size` bytes, after those before it. Raises what one of these raised."""
        self._jobs.append((self._pool.submit(job, *args, **kwargs), size))
        self._waiting += size
        while self._jobs and (self._waiting > WAITING_BYTES or self._jobs[0][0].done()):
            self._take()

    def finish(self) -> None:
        """Wait for every job. Raises what one of them raised."""
        while self._jobs:
            self._take()

    def close(self) -> None:
        """Give up what hasn't begun."""
        self._pool.shutdown(cancel_futures=True)

    def _take(self) -> None:
        done, size = self._jobs.popleft()
        self._waiting -= size
        done.result()


@cache
def _keep_freed_memory() -> None:
    """The GNU C library takes the largest block that was freed for what is usual, and from then on has as much at hand.
    Otherwise the system would clear the memory of nearly every block of rows anew."""
    bytes(_KEPT_BYTES)
