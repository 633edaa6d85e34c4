"""The extension point of task handlers: what each kind of task does."""

from typing import Any, Protocol

from sqlalchemy import Connection

from tunery.core.extensions import Point
from tunery.jobs.queue import Claim
from tunery.jobs.work import Work


class Handler(Protocol):
    """What a module in this folder offers; its file name is the kind of task."""

    API_VERSION: int

    def work(self, work: Work) -> None:
        """Do the task and finish it, or give it back. Raises Problem for what a user must know."""
        ...

    def failed(self, connection: Connection, claim: Claim, problem: dict[str, Any]) -> None:
        """The task failed with `problem`: say so wherever it shows. Same transaction as the task's end."""
        ...


HANDLERS: Point[Handler] = Point("tunery.jobs.handlers", "kind of task", api_version=1)
