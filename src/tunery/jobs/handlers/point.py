"""What a handler of one kind of task offers, and what it is given."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol

from sqlalchemy import Connection, Engine, update

from tunery.blobs.point import BlobStore
from tunery.core.extensions import Point
from tunery.core.settings import ServerSettings
from tunery.db.tables import task
from tunery.jobs.queue import Claim, Fenced, fenced


@dataclass
class Work:
    """A claimed task in progress. Every write goes through `writing`, which refuses once the claim is lost."""

    claim: Claim
    engine: Engine
    settings: ServerSettings
    blobs: BlobStore
    lost: threading.Event = field(default_factory=threading.Event)
    """Set when a renewal found the claim lost."""
    closing: threading.Event = field(default_factory=threading.Event)
    """Set when the worker is to end."""

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """A write transaction under the fence. Raises Fenced."""
        if self.lost.is_set():
            raise Fenced(self.claim.task)
        with fenced(self.engine, self.claim) as connection:
            yield connection

    def report(self, progress: dict[str, Any]) -> None:
        """Tell how far the task is."""
        with self.writing() as connection:
            connection.execute(update(task).where(task.c.id == self.claim.task).values(progress=progress))


class Handler(Protocol):
    """What a module in this folder offers; its file name is the kind of task."""

    API_VERSION: int
    USES_ENGINE: bool
    """It starts an engine, so it takes an engine slot."""

    def work(self, work: Work) -> None:
        """Do the task and finish it, or give it back. Raises Problem for what a user must know."""
        ...

    def failed(self, connection: Connection, claim: Claim, problem: dict[str, Any]) -> None:
        """The task failed with `problem`: say so wherever it shows. Same transaction as the task's end."""
        ...


HANDLERS: Point[Handler] = Point("tunery.jobs.handlers", "kind of task", api_version=1)
