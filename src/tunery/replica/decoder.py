"""The loop that generates: one thread owns the model; answers join and leave its batch between two tokens.

It knows nothing of HTTP. Loading an adapter is work for the same thread, so nothing ever changes the
model while it computes.
"""

import logging
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

import torch

from tunery.core.errors import Problem
from tunery.replica.answer import Answer
from tunery.replica.batch import Batch
from tunery.replica.model import ServedModel

T = TypeVar("T")
_log = logging.getLogger(__name__)

MAX_BATCH = 16
MAX_WAITING = 64


class Decoder:
    """Answers questions in one batch, first come, first served."""

    def __init__(
        self,
        model: ServedModel,
        token_text: Callable[[int], str],
        *,
        max_batch: int = MAX_BATCH,
        max_waiting: int = MAX_WAITING,
    ) -> None:
        self._new_batch = lambda: Batch(model, token_text)
        self._max_batch = max_batch
        self._max_waiting = max_waiting
        self._waiting: deque[Answer] = deque()
        self._calls: deque[Callable[[], None]] = deque()
        self._calls_alone: deque[Callable[[], None]] = deque()
        """They wait for the batch to be empty; no answer begins before them."""
        self._changed = threading.Condition()
        self._closed = False
        self._batch = self._new_batch()
        self._thread = threading.Thread(target=self._run, name="decoder", daemon=True)
        self._thread.start()

    def submit(self, answer: Answer) -> None:
        """Queue an answer. Raises Problem `replica_busy`."""
        with self._changed:
            self._waiting = deque(each for each in self._waiting if not each.cancelled)
            if len(self._waiting) >= self._max_waiting:
                raise Problem("replica_busy", waiting=len(self._waiting))
            self._waiting.append(answer)
            self._changed.notify()

    def call(self, work: Callable[[], T], *, alone: bool = False) -> Future[T]:
        """Run `work` on the model's thread between two tokens; `alone`: while no answer is being generated."""
        future: Future[T] = Future()

        def settle() -> None:
            try:
                future.set_result(work())
            except BaseException as error:
                future.set_exception(error)

        with self._changed:
            (self._calls_alone if alone else self._calls).append(settle)
            self._changed.notify()
        return future

    def load(self) -> dict[str, int]:
        """How many answers are being generated and how many wait."""
        return {"running": len(self._batch.answers), "waiting": len(self._waiting)}

    def close(self) -> None:
        """End the thread after the token it is at."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        self._thread.join()

    @torch.inference_mode()
    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(self._has_work)
                if self._closed:
                    return
                calls = [self._calls.popleft() for _ in range(len(self._calls))]
            for call in calls:
                call()
            try:
                self._batch.drop_cancelled()
                if self._calls_alone and not self._batch.answers:
                    self._calls_alone.popleft()()
                if not self._calls_alone:
                    self._admit()
                self._batch.step()
            except Exception as error:
                _log.exception("a decoding step failed")
                self._give_up(error)

    def _has_work(self) -> bool:
        return bool(self._closed or self._calls or self._calls_alone or self._waiting or self._batch.answers)

    def _admit(self) -> None:
        while len(self._batch.answers) < self._max_batch:
            with self._changed:
                while self._waiting and self._waiting[0].cancelled:
                    self._waiting.popleft()
                if not self._waiting or not self._batch.has_room_for(self._waiting[0]):
                    return
                answer = self._waiting.popleft()
            try:
                self._batch.add(answer)
            except Exception as error:
                _log.exception("a prompt failed")
                answer.fail(_broken_off(error))

    def _give_up(self, error: Exception) -> None:
        """A failed step leaves the cache half written: everyone in the batch is told, the next start afresh."""
        for answer in self._batch.answers:
            answer.fail(_broken_off(error))
        self._batch = self._new_batch()


def _broken_off(error: Exception) -> Problem:
    if isinstance(error, Problem):
        return error
    return Problem("answer_broken_off", name="", detail=f"{type(error).__name__}: {error}".splitlines()[0])
