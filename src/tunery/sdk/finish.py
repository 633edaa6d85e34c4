"""Waiting for a task to end."""

import time

from tunery.core.errors import Problem
from tunery.schemas.task import Task
from tunery.sdk.call import Call, Flow, Pause, as_json, segment, send

_TASK = as_json(Task)


def finish_task(id: str, timeout: float | None, poll: float) -> Flow[Task]:
    """The task once it has succeeded. Raises the Problem that it failed with, or TimeoutError."""
    end = None if timeout is None else time.monotonic() + timeout
    while True:
        task = yield from send(Call("GET", f"/api/v1/tasks/{segment(id)}", _TASK))
        if task.state in ("failed", "cancelled"):
            raise Problem.from_dict(task.reason or {"message": f"the task {id} was cancelled"})
        if task.state == "succeeded":
            return task
        if end is not None and time.monotonic() > end:
            raise TimeoutError(f"the task {id} goes on after {timeout} s")
        yield Pause(poll)
