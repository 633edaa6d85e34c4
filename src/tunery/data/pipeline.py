"""Work that goes on beside the reading: hashing and writing let other threads run meanwhile."""

from collections.abc import Callable
from functools import cache, partial
from queue import SimpleQueue
from threading import Thread
from typing import ParamSpec

P = ParamSpec("P")
WAITING_BYTES = 8 << 20
_KEPT_BYTES = 16 << 20


class Beside:
    """Does jobs one after the other in a thread of its own; what waits for it has a bounded size.

    A pool of threads would do, but every one of its promises costs more than what small jobs save.
    """

    def __init__(self) -> None:
        _keep_freed_memory()
        self._jobs: SimpleQueue[tuple[int, Callable[[], None]] | None] = SimpleQueue()
        self._ended: SimpleQueue[tuple[int, BaseException | None]] = SimpleQueue()
        self._thread: Thread | None = None
        self._count = self._waiting = 0
        """Jobs that weren't seen to end, and what they hold."""
        self._given_up = False

    def add(self, size: int, job: Callable[P, None], *args: P.args, **kwargs: P.kwargs) -> None:
        """Do `job(…)`, which holds `size` bytes, after those before it. Raises what one of these raised."""
        if self._thread is None:
            self._thread = Thread(target=self._work, daemon=True)
            self._thread.start()
        self._jobs.put((size, partial(job, *args, **kwargs)))
        self._count += 1
        self._waiting += size
        while self._count and (self._waiting > WAITING_BYTES or not self._ended.empty()):
            self._take()

    def finish(self) -> None:
        """Wait for every job. Raises what one of them raised."""
        while self._count:
            self._take()

    def close(self) -> None:
        """Give up what hasn't begun, and wait for the job that has."""
        self._given_up = True
        if self._thread is not None:
            self._jobs.put(None)
            self._thread.join()

    def _take(self) -> None:
        size, trouble = self._ended.get()
        self._count -= 1
        self._waiting -= size
        if trouble is not None:
            raise trouble

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            trouble = None
            if not self._given_up:
                try:
                    job[1]()
                except BaseException as raised:
                    # Whoever adds the next job, or waits, gets it.
                    trouble = raised
            self._ended.put((job[0], trouble))
            # What it holds goes now, not when the next one comes.
            del job


@cache
def _keep_freed_memory() -> None:
    """The GNU C library takes the largest block that was freed for what is usual, and from then on has as much at hand.
    Otherwise the system would clear the memory of nearly every block of rows anew."""
    bytes(_KEPT_BYTES)
