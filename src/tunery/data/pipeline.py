"""Work on bytes that goes on beside the reading: hashing and compressing let other threads run meanwhile."""

from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Generic, TypeVar

T = TypeVar("T")


class Beside(Generic[T]):
    """Does jobs one after the other in a thread of its own; at most `waiting` wait, so memory stays bounded."""

    def __init__(self, done: Callable[[T], None], *, waiting: int = 8) -> None:
        self._done = done
        self._waiting = waiting
        self._pool = ThreadPoolExecutor(1)
        self._jobs: deque[Future[T]] = deque()

    def add(self, job: Callable[[bytes], T], content: bytes) -> None:
        """Do `job(content)`. `done` gets its outcome, in order and in the caller's thread."""
        self._jobs.append(self._pool.submit(job, content))
        while len(self._jobs) > self._waiting or (self._jobs and self._jobs[0].done()):
            self._done(self._jobs.popleft().result())

    def finish(self) -> None:
        """Wait for every job."""
        while self._jobs:
            self._done(self._jobs.popleft().result())

    def close(self) -> None:
        """Give up what hasn't begun."""
        self._pool.shutdown(cancel_futures=True)
