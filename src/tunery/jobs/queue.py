"""The queue: a table, not a broker. Claim, renew, finish; every write of a worker carries its fencing token.

It doesn't know what a task does.

Claiming and renewing are relaxed writes: a power cut may undo the last of them. That loses nothing. A claim that was
undone is made again; that an engine is started is written durably first, and such a write takes along everything
written before it. Two must not hold the same claim after one was undone (PostgreSQL may crash and come back while a
worker lives), so a token doesn't grow by one but by a number that won't come up again.
"""

import secrets
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Engine,
    FromClause,
    ScalarSelect,
    Update,
    and_,
    bindparam,
    func,
    or_,
    select,
    update,
)

from tunery.core.clock import MICROSECONDS, now_us
from tunery.db.engine import writing
from tunery.db.lease import lease_time
from tunery.db.tables import task
from tunery.jobs.states import move_task
from tunery.schemas.task import Lane, TaskState

_LARGEST_GROWTH = 2**32
_ENGINES: tuple[Lane, ...] = ("engine", "idle")
_ANY = 2**31 - 1


class Fenced(Exception):
    """Another worker has this task now, or it was ended. Stop, and touch nothing."""


@dataclass(frozen=True)
class Claim:
    """The right to work on a task, as long as its token is the task's."""

    task: str
    token: int
    kind: str
    lane: Lane
    project: str
    run: str | None
    payload: dict[str, Any]
    attempts: int


@dataclass(frozen=True)
class Slots:
    """How much may be worked on at once. They are leased by the statement that claims a task."""

    light: int = _ANY
    """Tasks without an engine, by the worker that asks."""
    engine: int = _ANY
    """Engines of that worker."""
    project: int = 0
    """Engines of one project, of all workers; 0 = any number."""


def claim(
    engine: Engine, worker: str, kinds: Collection[str], lease_seconds: float, slots: Slots | None = None
) -> Claim | None:
    """Take the next task of these kinds for which there is a slot.

    First what is running and lost its worker, then what waits; an idle-time run only where no other is to be had.
    """
    slots = slots or Slots()
    with writing(engine, durable=False) as connection:
        clock = lease_time(connection)
        given = {
            "kinds": list(kinds),
            "worker": worker,
            "boot": clock.boot,
            "clock": clock.us,
            "until": clock.us + int(lease_seconds * MICROSECONDS),
            "now": now_us(),
            "growth": 1 + secrets.randbelow(_LARGEST_GROWTH),
            "light": slots.light,
            "engine": slots.engine,
            "of_project": slots.project or _ANY,
        }
        found = connection.execute(_CLAIM, given).one_or_none()
    return None if found is None else Claim(*found)


def renew(engine: Engine, held: Claim, lease_seconds: float) -> bool:
    """Hold a claim for another lease; False when it is lost."""
    with writing(engine, durable=False) as connection:
        clock = lease_time(connection)
        given = {"task": held.task, "held": held.token, "boot": clock.boot}
        given["until"] = clock.us + int(lease_seconds * MICROSECONDS)
        changed = connection.execute(_RENEWAL, given)
        return changed.rowcount == 1


def expire_leases_of(engine: Engine, worker: str) -> None:
    """Free at once the tasks of a worker known to be dead."""
    with writing(engine) as connection:
        connection.execute(
            update(task).where(task.c.worker_id == worker, task.c.state == "running").values(lease_until=0)
        )


@contextmanager
def fenced(engine: Engine, held: Claim, *, durable: bool = True) -> Iterator[Connection]:
    """A write transaction that happens only while the claim holds. Raises Fenced otherwise."""
    with writing(engine, durable=durable) as connection:
        holder = connection.execute(_HOLDER, {"id": held.task}).one_or_none()
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


def give_back(connection: Connection, held: Claim, reason: dict[str, Any] | None) -> None:
    """Put a task back in the queue, inside a `fenced` transaction. It keeps its place."""
    moved = move_task(
        connection,
        held.task,
        "queued",
        reason=reason,
        worker_id=None,
        gives_way_to=None,
    )
    assert moved, "the fence was checked in this transaction"


_RENEWAL = (
    update(task)
    .where(task.c.id == bindparam("task"), task.c.token == bindparam("held"), task.c.state == "running")
    .values(lease_until=bindparam("until"), lease_boot=bindparam("boot"))
)
_HOLDER = select(task.c.token, task.c.state).where(task.c.id == bindparam("id")).with_for_update()


def _claiming() -> Update:
    """The whole claim in one statement, so that what it counts and what it takes are the same moment's."""
    light, engine = _room(("light",), "light"), _room(_ENGINES, "engine")
    next_one = func.coalesce(
        _first(_lapsed, "light", light),
        _first(_lapsed, "engine", engine),
        _first(_lapsed, "idle", engine),
        _first(_ready, "light", light),
        _first(_ready, "engine", engine),
        _first(_ready, "idle", engine),
    )
    return (
        update(task)
        .where(task.c.id == next_one)
        .values(
            state="running",
            token=task.c.token + bindparam("growth"),
            worker_id=bindparam("worker"),
            lease_until=bindparam("until"),
            lease_boot=bindparam("boot"),
            started=func.coalesce(task.c.started, bindparam("now")),
            reason=None,
        )
        .returning(
            task.c.id,
            task.c.token,
            task.c.kind,
            task.c.lane,
            task.c.project_id,
            task.c.run_id,
            task.c.payload,
            task.c.attempts,
        )
    )


def _first(
    which: Callable[[FromClause, Lane], ColumnElement[bool]], lane: Lane, room: ColumnElement[bool]
) -> ScalarSelect[str]:
    one = task.alias()
    asked = and_(one.c.lane == lane, one.c.kind.in_(bindparam("kinds", expanding=True)))
    found = select(one.c.id).where(asked, which(one, lane), room)
    return found.order_by(one.c.place).limit(1).scalar_subquery()


def _lapsed(one: FromClause, lane: Lane) -> ColumnElement[bool]:
    """Running, and its worker didn't renew the lease."""
    over = or_(one.c.lease_boot.is_distinct_from(bindparam("boot")), one.c.lease_until < bindparam("clock"))
    return and_(one.c.state == "running", over)


def _ready(one: FromClause, lane: Lane) -> ColumnElement[bool]:
    """Waiting, with nothing against it."""
    waiting = one.c.state == "queued"
    if lane == "light":
        return waiting
    other = task.alias()
    full = (
        select(other.c.project_id)
        .where(other.c.state == "running", other.c.lane.in_(_ENGINES))
        .group_by(other.c.project_id)
        .having(func.count() >= bindparam("of_project"))
    )
    return and_(waiting, one.c.project_id.not_in(full))


def _room(lanes: tuple[Lane, ...], slots: str) -> ColumnElement[bool]:
    """Whether the worker has a slot free for one of these lanes. A lapsed lease occupies none."""
    one = task.alias()
    lease = and_(one.c.lease_boot == bindparam("boot"), one.c.lease_until >= bindparam("clock"))
    mine = and_(one.c.state == "running", one.c.lane.in_(lanes), one.c.worker_id == bindparam("worker"))
    return select(func.count()).where(mine, lease).scalar_subquery() < bindparam(slots)


_CLAIM = _claiming()
"""Made once: SQLAlchemy takes longer to put a statement together than the database to do what it says."""
