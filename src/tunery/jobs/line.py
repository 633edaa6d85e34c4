"""Standing in line: the lane a task waits in, and its place there.

A run's place counts from when the run was made, so that its later stages, and it itself when it comes back from a
pause, stand before runs that were made after it. A step of priority is worth an hour of waiting: what is urgent goes
first, and nobody waits for ever.
"""

from typing import Any

from sqlalchemy import Connection, select

from tunery.core.clock import MICROSECONDS, now_us
from tunery.core.ids import new_id
from tunery.db.tables import run, task
from tunery.schemas.run import ResourceSpec
from tunery.schemas.task import Lane

_STEP_OF_PRIORITY = 3600 * MICROSECONDS


def enqueue(
    connection: Connection,
    kind: str,
    project: str,
    payload: dict[str, Any],
    run_id: str | None = None,
    *,
    engine: bool = False,
) -> str:
    """Add a task; returns its id. `engine`: it starts one, so it needs a slot."""
    id, now = new_id("task"), now_us()
    lane: Lane = "engine" if engine else "light"
    place = now
    if run_id is not None:
        made = connection.execute(select(run.c.created, run.c.resolved).where(run.c.id == run_id)).one()
        wanted = ResourceSpec.model_validate(made.resolved["spec"]["resources"])
        place = made.created - wanted.priority * _STEP_OF_PRIORITY
        if engine and wanted.idle_time:
            lane = "idle"
    connection.execute(
        task.insert().values(
            id=id,
            project_id=project,
            kind=kind,
            state="queued",
            lane=lane,
            place=place,
            payload=payload,
            run_id=run_id,
            created=now,
        )
    )
    return id
