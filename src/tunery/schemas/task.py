"""A task: one row of the queue. Everything long is one."""

from typing import Any, Literal

from tunery.schemas.base import Microseconds, Schema

TaskState = Literal["queued", "running", "succeeded", "failed", "cancelled"]
Lane = Literal["light", "engine", "idle"]
"""Where a task waits. light: it takes no engine. engine: it needs one of a worker's slots. idle: the same, of an
idle-time run."""


class Task(Schema):
    """Something long that a worker does: import, train, evaluate, publish …"""

    id: str
    kind: str
    state: TaskState
    reason: dict[str, Any] | None
    """Why it waits or how it ended."""
    progress: dict[str, Any] | None
    result: dict[str, Any] | None = None
    """What came of it, where that stands nowhere else."""
    run: str | None
    attempts: int
    created: Microseconds
    started: Microseconds | None
    ended: Microseconds | None
