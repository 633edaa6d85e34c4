"""Every state of a task and of a run, and the only ways from one to another.

A state changes by one UPDATE that names the states it may come from; whoever comes second finds no row.
"""

from functools import cache
from typing import Any, get_args

from sqlalchemy import Connection, Table, Update, bindparam, update

from tunery.core.clock import now_us
from tunery.db.tables import run, task
from tunery.schemas.run import RunState
from tunery.schemas.task import TaskState

TASK: dict[TaskState, frozenset[TaskState]] = {
    "queued": frozenset({"running", "cancelled", "failed"}),
    "running": frozenset({"queued", "succeeded", "failed", "cancelled"}),
    "succeeded": frozenset(),
    "failed": frozenset(),
    "cancelled": frozenset(),
}

RUN: dict[RunState, frozenset[RunState]] = {
    "queued": frozenset({"running", "paused", "stopped", "failed", "cancelled"}),
    "running": frozenset({"queued", "paused", "succeeded", "stopped", "failed", "cancelled"}),
    "paused": frozenset({"queued", "stopped", "cancelled"}),
    "succeeded": frozenset(),
    "stopped": frozenset(),
    "failed": frozenset(),
    "cancelled": frozenset(),
}

RUN_ENDED: frozenset[RunState] = frozenset(state for state in get_args(RunState) if not RUN[state])
TASK_ENDED: frozenset[TaskState] = frozenset(state for state in get_args(TaskState) if not TASK[state])


def move_task(connection: Connection, id: str, to: TaskState, **values: Any) -> bool:
    """Move a task; False when it is not in a state that leads there."""
    return _move(
        connection, task, id, [s for s, after in TASK.items() if to in after], to, TASK_ENDED, values
    )


def move_run(
    connection: Connection, id: str, to: RunState, *, come_from: RunState | None = None, **values: Any
) -> bool:
    """Move a run; False when it is not in a state that leads there (or not in `come_from`)."""
    sources = [s for s, after in RUN.items() if to in after and come_from in (None, s)]
    return _move(connection, run, id, sources, to, RUN_ENDED, values)


def _move(
    connection: Connection,
    table: Table,
    id: str,
    sources: list[Any],
    to: str,
    ended: frozenset[Any],
    values: dict[str, Any],
) -> bool:
    if to in ended:
        values = {"ended": now_us(), **values}
    moving = _moving(table, tuple(sources))
    return connection.execute(moving, {"moved": id, "state": to, **values}).rowcount == 1


@cache
def _moving(table: Table, sources: tuple[str, ...]) -> Update:
    """The columns that change come with the parameters."""
    return update(table).where(table.c.id == bindparam("moved"), table.c.state.in_(sources))
