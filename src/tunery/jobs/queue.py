"""The queue: a table, not a broker. Claim, renew, finish; every write of a worker carries its fencing token.

It doesn't know what a task does.
"""

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Engine, and_, or_, select, update

from tunery.core.clock import MICROSECONDS, now_us
from tunery.core.ids import new_id
from tunery.db.engine import writing
from tunery.db.lease import lease_time
from tunery.db.tables import task
from tunery.jobs.states import move_task
from tunery.schemas.task import TaskState


class Fenced(Exception):
    """Another worker has this task now, or it was ended. Stop, and touch nothing."""


@dataclass(frozen=True)
class Claim:
    """The right to work on a task, as long as its token is the task's."""

    task: str
    token: int
    kind: str
    project: str
    run: str | None
    payload: dict[str, Any]
    attempts: int


def enqueue(
    connection: Connection, kind: str, project: str, payload: dict[str, Any], run: str | None = None
) -> str:
    """Add a task; returns its id."""
    id = new_id("task")
    connection.execute(
        task.insert().values(
            id=id,
            project_id=project,
            kind=kind,
            state="queued",
            payload=payload,
            run_id=run,
            created=now_us(),
        )
    )
    return id


def claim(engine: Engine, worker: str, kinds: Collection[str], lease_seconds: float) -> Claim | None:
    """Take the next task of these kinds: a queued one, or a running one whose lease ran out."""
    with writing(engine) as connection:
        clock = lease_time(connection)
        lapsed = and_(
            task.c.state == "running",
            or_(task.c.lease_boot.is_distinct_from(clock.boot), task.c.lease_until < clock.us),
        )
        ready = and_(
            task.c.state == "queued", or_(task.c.not_before.is_(None), task.c.not_before <= now_us())
        )
        found = connection.execute(
            select(task)
            .where(task.c.kind.in_(kinds), or_(lapsed, ready))
            .order_by(task.c.priority.desc(), task.c.created)
            .limit(1)
            .with_for_update(skip_locked=True)
        ).one_or_none()
        if found is None:
            return None
        token = found.token + 1
        connection.execute(
            update(task)
            .where(task.c.id == found.id)
            .values(
                state="running",
                token=token,
                worker_id=worker,
                lease_until=clock.us + int(lease_seconds * MICROSECONDS),
                lease_boot=clock.boot,
                started=found.started or now_us(),
                reason=None,
            )
        )
        return Claim(
            found.id, token, found.kind, found.project_id, found.run_id, found.payload, found.attempts
        )


def renew(engine: Engine, held: Claim, lease_seconds: float) -> bool:
    """Hold a claim for another lease; False when it is lost."""
    with writing(engine) as connection:
        clock = lease_time(connection)
        changed = connection.execute(
            update(task)
            .where(task.c.id == held.task, task.c.token == held.token, task.c.state == "running")
            .values(lease_until=clock.us + int(lease_seconds * MICROSECONDS), lease_boot=clock.boot)
        )
        return changed.rowcount == 1


def expire_leases_of(engine: Engine, worker: str) -> None:
    """Free at once the tasks of a worker known to be dead."""
    with writing(engine) as connection:
        connection.execute(
            update(task).where(task.c.worker_id == worker, task.c.state == "running").values(lease_until=0)
        )


@contextmanager
def fenced(engine: Engine, held: Claim) -> Iterator[Connection]:
    """A write transaction that happens only while the claim holds. Raises Fenced otherwise."""
    with writing(engine) as connection:
        holder = connection.execute(
            select(task.c.token, task.c.state).where(task.c.id == held.task).with_for_update()
        ).one_or_none()
        if holder is None or holder.token != held.token or holder.state != "running":
            raise Fenced(held.task)
        yield connection


def finish(
    connection: Connection,
    held: Claim,
    state: TaskState,
    *,
    reason: dict[str, Any] | None = None,
    result: dict[str, Any] | None = None,
) -> None:
    """End a task, inside a `fenced` transaction."""
    moved = move_task(connection, held.task, state, reason=reason, result=result, worker_id=None)
    assert moved, "the fence was checked in this transaction"


def give_back(
    connection: Connection, held: Claim, reason: dict[str, Any] | None, delay_seconds: float = 0
) -> None:
    """Put a task back in the queue, inside a `fenced` transaction."""
    moved = move_task(
        connection,
        held.task,
        "queued",
        reason=reason,
        worker_id=None,
        not_before=now_us() + int(delay_seconds * MICROSECONDS),
    )
    assert moved, "the fence was checked in this transaction"
