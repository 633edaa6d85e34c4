"""A claimed task in progress: what a handler works with."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, Engine, update

from tunery.blobs.point import BlobStore
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
    def writing(self, *, durable: bool = True) -> Iterator[Connection]:
        """A write transaction under the fence. Raises Fenced.

        Not `durable`: for what a worker that takes up the task again finds out or does once more, to the same end.
        """
        if self.lost.is_set():
            raise Fenced(self.claim.task)
        with fenced(self.engine, self.claim, durable=durable) as connection:
            yield connection

    def report(self, progress: dict[str, Any]) -> None:
        """Tell how far the task is."""
        with self.writing(durable=False) as connection:
            connection.execute(update(task).where(task.c.id == self.claim.task).values(progress=progress))
