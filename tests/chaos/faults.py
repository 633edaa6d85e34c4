"""What is done to the processes, and how soon a worker's loss is noticed."""

import os
import random
import signal
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from sqlalchemy import select
from sqlalchemy.exc import DBAPIError

from tests.chaos.place import Place
from tunery.core.process import ProcessIdentity
from tunery.db.engine import reading
from tunery.db.tables import task

_FROZEN_LEASES = 1.5
_ENGINE_STOPPED_SECONDS = 2.0


@dataclass
class Loss:
    """A worker that was killed or stopped while it worked on tasks."""

    worker: str
    at: float
    tasks: set[str]


@dataclass
class Faults:
    """Injects one fault after another."""

    place: Place
    dice: random.Random
    done: Counter[str] = field(default_factory=Counter)
    amid: Counter[str] = field(default_factory=Counter)
    """Kinds of tasks that were under way when a fault came; several at once, where several workers worked."""
    detected: list[float] = field(default_factory=list)
    _losses: list[Loss] = field(default_factory=list)
    _frozen: list[tuple[float, ProcessIdentity]] = field(default_factory=list)

    def inject(self) -> None:
        """One fault; nothing where there is no one to do it to just now."""
        kinds: dict[str, Callable[[], bool]] = {
            "engine killed": lambda: self._signal_engine(signal.SIGKILL),
            "engine stopped": lambda: self._signal_engine(signal.SIGSTOP),
            "worker killed": lambda: self._signal_worker(signal.SIGKILL),
            "worker restarted": lambda: self._signal_worker(signal.SIGTERM),
            "worker frozen": self._freeze_worker,
            "server killed": lambda: self._signal_server(signal.SIGKILL),
            "server restarted": lambda: self._signal_server(signal.SIGTERM),
        }
        if self.place.postgres is not None:
            kinds["PostgreSQL crashed"] = self._crash_postgres
        kind = self.dice.choice(sorted(kinds))
        under_way = self._under_way()
        if kinds[kind]():
            self.done[kind] += 1
            self.amid.update(under_way or ["nothing"])

    def tick(self) -> None:
        """Let the frozen go on when their time is over; see whose tasks were taken over."""
        now = time.monotonic()
        for until, identity in [one for one in self._frozen if one[0] <= now]:
            if identity.alive():
                os.kill(identity.pid, signal.SIGCONT)
            self._frozen.remove((until, identity))
        if not self._losses:
            return
        with reading(self.place.house.engine) as connection:
            held = {
                row.id: row.worker_id
                for row in connection.execute(
                    select(task.c.id, task.c.worker_id).where(task.c.state == "running")
                )
            }
        for loss in list(self._losses):
            loss.tasks = {id for id in loss.tasks if held.get(id) == loss.worker}
            if not loss.tasks:
                self.detected.append(now - loss.at)
                self._losses.remove(loss)

    def thaw(self) -> None:
        """Let everyone go on."""
        for _, identity in self._frozen:
            if identity.alive():
                os.kill(identity.pid, signal.SIGCONT)
        self._frozen.clear()

    def _signal_engine(self, number: signal.Signals) -> bool:
        engines = self.place.engines()
        if not engines:
            return False
        victim = self.dice.choice(engines)
        victim.signal_group(number)
        if number == signal.SIGSTOP:
            self._frozen.append((time.monotonic() + _ENGINE_STOPPED_SECONDS, victim))
        return True

    def _signal_worker(self, number: signal.Signals) -> bool:
        found = self._awake()
        if found is None:
            return False
        if number == signal.SIGKILL:
            self._note_loss(found[0])
        os.kill(found[1].pid, number)
        return True

    def _freeze_worker(self) -> bool:
        found = self._awake()
        if self._frozen or found is None or not self.place.freeze(found[1]):
            return False
        seconds = self.place.house.settings.lease_seconds * _FROZEN_LEASES
        self._note_loss(found[0])
        self._frozen.append((time.monotonic() + seconds, found[1]))
        return True

    def _signal_server(self, number: signal.Signals) -> bool:
        self.place.processes["server"].send_signal(number)
        return True

    def _crash_postgres(self) -> bool:
        assert self.place.postgres is not None
        self.place.postgres.crash()
        return True

    def _awake(self) -> tuple[str, ProcessIdentity] | None:
        stopped = {identity.pid for _, identity in self._frozen}
        workers = [one for one in self.place.workers().items() if one[1].pid not in stopped]
        return self.dice.choice(sorted(workers)) if workers else None

    def _under_way(self) -> set[str]:
        with reading(self.place.house.engine) as connection:
            return set(connection.scalars(select(task.c.kind).where(task.c.state == "running")))

    def _note_loss(self, id: str) -> None:
        with reading(self.place.house.engine) as connection:
            mine = connection.scalars(
                select(task.c.id).where(task.c.worker_id == id, task.c.state == "running")
            ).all()
        if mine:
            self._losses.append(Loss(id, time.monotonic(), set(mine)))


def through(do: Callable[[], None]) -> None:
    """Do it unless the database is away just now."""
    try:
        do()
    except DBAPIError:
        time.sleep(0.2)
