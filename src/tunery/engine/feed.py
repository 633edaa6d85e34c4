"""The batches of each optimizer step, made by a thread of their own while the step before computes.

The order is the plan's, whoever is faster. It knows neither model nor method.
"""

import queue
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from types import TracebackType

from tunery.engine.batches import Batch

_AHEAD = 3
"""Steps: enough that a slow one, such as a long row, is caught up with."""


@dataclass(frozen=True)
class Planned:
    """What one step is to train on."""

    epoch: int
    first: int
    """Number of its first group in the epoch."""
    groups: Sequence[Sequence[int]]
    of: int
    """Groups in the epoch."""


Step = tuple[Planned, list[Batch]]
"""One step's batches, those without an example left out."""


class Feed:
    """Gives steps one after the other. Use it as a context: the thread ends with it."""

    def __init__(self, plan: Iterator[Planned], make: Callable[[Planned], list[Batch]]) -> None:
        self.waited = 0.0
        """Seconds that `next` had to wait for data."""
        self._plan = plan
        self._make = make
        self._ready: queue.Queue[Step | BaseException] = queue.Queue(maxsize=_AHEAD)
        self._leave = threading.Event()
        self._thread = threading.Thread(target=self._work, name="feed", daemon=True)

    def __enter__(self) -> "Feed":
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._leave.set()
        while self._thread.is_alive():
            try:
                self._ready.get(timeout=0.01)
            except queue.Empty:
                continue
        self._thread.join()

    def next(self) -> Step:
        """The next step. Raises what making it raised; StopIteration after the last."""
        began = time.monotonic()
        step = self._ready.get()
        self.waited += time.monotonic() - began
        if isinstance(step, BaseException):
            raise step
        return step

    def _work(self) -> None:
        try:
            for planned in self._plan:
                if self._leave.is_set():
                    return
                self._ready.put((planned, self._make(planned)))
            raise StopIteration
        except BaseException as error:  # for whoever asks for the next one
            self._ready.put(error)
