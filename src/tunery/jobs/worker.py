"""The worker: claims tasks, runs their handlers in threads, renews its claims.

Engines it starts outlive it; the next worker takes them over. It doesn't know what a task does.
"""

import logging
import os
import signal
import threading
import time
from pathlib import Path

from sqlalchemy import Engine, select, update
from sqlalchemy.exc import OperationalError

from tunery.blobs.point import BlobStore
from tunery.core.errors import Problem
from tunery.core.ids import new_id
from tunery.core.process import ProcessIdentity
from tunery.core.settings import ServerSettings
from tunery.core.storage import storage_problem
from tunery.core.watch import FolderWatch
from tunery.db.engine import reading, writing
from tunery.db.lease import lease_time
from tunery.db.tables import worker
from tunery.jobs import queue
from tunery.jobs.giving_way import make_room
from tunery.jobs.handlers.point import HANDLERS
from tunery.jobs.queue import Fenced, Slots
from tunery.jobs.standby import Standbys
from tunery.jobs.work import Work

_LOG = logging.getLogger("tunery.worker")
_IDLE_SECONDS = 0.2
"""Between looks for a task where no commit wakes the worker, as with PostgreSQL."""
_SETTLE_SECONDS = 0.01
"""Between a commit and the next look for a task, so that many commits don't mean as many looks."""
_PATIENCE_SECONDS = 1.0
"""Between tries while the database can't be used."""
_LIGHT_SLOTS = 2


class Worker:
    """One worker process's work. `run` returns after `close`."""

    def __init__(self, engine: Engine, settings: ServerSettings, blobs: BlobStore) -> None:
        self.id = new_id("worker")
        self._engine = engine
        self._settings = settings
        self._blobs = blobs
        self._closing = threading.Event()
        self._held: dict[str, tuple[Work, threading.Thread]] = {}
        self._standbys = Standbys(settings)
        self._kinds = [kind for kind, _ in HANDLERS.all()]
        self._slots = Slots(_LIGHT_SLOTS, settings.engine_slots, settings.project_slots)

    def close(self) -> None:
        """Ask to end: engines save, tasks go back to the queue."""
        self._closing.set()

    def run(self) -> None:
        """Work until closed."""
        self._register()
        self._free_the_dead()
        heart = threading.Thread(target=self._beat, name="heartbeat", daemon=True)
        heart.start()
        changes = self._watch()
        while not self._closing.is_set():
            self._forget_finished()
            self._standbys.tend(busy=self._slots_taken())
            try:
                claimed = self._claim_one()
                if not claimed:
                    make_room(self._engine, self._settings)
            except OperationalError as error:
                _LOG.warning("the database can't be used; no task is claimed: %s", error.orig)
                claimed = False
            if not claimed:
                self._wait_for_work(changes)
        self._standbys.close()
        for work, _ in list(self._held.values()):
            work.closing.set()
        for _, thread in list(self._held.values()):
            thread.join()
        self._sign_off()

    def _register(self) -> None:
        identity = ProcessIdentity.of(os.getpid())
        assert identity is not None
        with writing(self._engine) as connection:
            clock = lease_time(connection)
            connection.execute(
                worker.insert().values(
                    id=self.id,
                    boot=identity.boot,
                    pid=identity.pid,
                    started=identity.started,
                    slots=self._settings.engine_slots,
                    seen=clock.us,
                    seen_boot=clock.boot,
                )
            )

    def _sign_off(self) -> None:
        """Its slots aren't counted any more."""
        try:
            with writing(self._engine) as connection:
                connection.execute(worker.delete().where(worker.c.id == self.id))
        except OperationalError as error:
            _LOG.warning("the database can't be used; this worker stays on its list: %s", error.orig)

    def _free_the_dead(self) -> None:
        """A worker beside this one whose process is gone will not renew: don't wait for its lease."""
        mine = ProcessIdentity.of(os.getpid())
        assert mine is not None
        with reading(self._engine) as connection:
            known = connection.execute(
                select(worker).where(worker.c.boot == mine.boot, worker.c.id != self.id)
            ).all()
        for other in known:
            if not ProcessIdentity(other.pid, other.started, other.boot).alive():
                queue.expire_leases_of(self._engine, other.id)
                with writing(self._engine) as connection:
                    connection.execute(worker.delete().where(worker.c.id == other.id))

    def _claim_one(self) -> bool:
        lease = self._settings.lease_seconds
        claim = queue.claim(self._engine, self.id, self._kinds, lease, self._slots)
        if claim is None:
            return False
        work = Work(claim, self._engine, self._settings, self._blobs)
        earlier, before = self._held.get(claim.task, (None, None))
        if earlier is not None:
            earlier.lost.set()
        thread = threading.Thread(target=_perform, args=(work, before), name=claim.task)
        self._held[claim.task] = (work, thread)
        thread.start()
        return True

    def _watch(self) -> FolderWatch | None:
        """Tells of every commit where the database is a file."""
        url = self._engine.url
        if self._engine.dialect.name != "sqlite" or not url.database:
            return None
        file = Path(url.database)
        return FolderWatch(file.parent, file.name)

    def _wait_for_work(self, changes: FolderWatch | None) -> None:
        """A task may be there when somebody committed something, or in time: when one falls due, or a lease ends."""
        if changes is None:
            self._closing.wait(_IDLE_SECONDS)
        elif changes.wait(_IDLE_SECONDS):
            self._closing.wait(_SETTLE_SECONDS)

    def _slots_taken(self) -> bool:
        """Whether an engine works in every slot: only then no further run can begin at once."""
        engines = sum(work.claim.lane != "light" for work, _ in self._held.values())
        return engines >= self._settings.engine_slots

    def _forget_finished(self) -> None:
        for id, (_, thread) in list(self._held.items()):
            if not thread.is_alive():
                del self._held[id]

    def _beat(self) -> None:
        while True:
            time.sleep(self._settings.heartbeat_seconds)
            try:
                self._renew()
                self._free_the_dead()
            except OperationalError as error:
                _LOG.warning("the database can't be used; no lease is renewed: %s", error.orig)

    def _renew(self) -> None:
        for work, thread in list(self._held.values()):
            if thread.is_alive() and not queue.renew(self._engine, work.claim, self._settings.lease_seconds):
                work.lost.set()
        with writing(self._engine) as connection:
            clock = lease_time(connection)
            mine = update(worker).where(worker.c.id == self.id)
            connection.execute(mine.values(seen=clock.us, seen_boot=clock.boot))


def _perform(work: Work, before: threading.Thread | None = None) -> None:
    """Work on a task till its end is on record; while the database can't be used, that waits.

    `before`: what this process did under a claim of the same task that it lost by standing still. It may be amid
    writing the very files that are written now, so it ends first.
    """
    if before is not None:
        before.join()
    claim = work.claim
    while True:
        try:
            return _handle(work)
        except Fenced:
            _LOG.warning("lost the claim on %s", claim.task)
            return
        except OperationalError as error:
            _LOG.warning("the database can't be used; %s waits: %s", claim.task, error.orig)
            if work.closing.wait(_PATIENCE_SECONDS):
                return


def _handle(work: Work) -> None:
    """Run a task's handler. It can be begun again: what it left open it takes up."""
    claim = work.claim
    try:
        HANDLERS.load(claim.kind).work(work)
    except (Fenced, OperationalError):
        raise
    except Problem as problem:
        _fail(work, problem)
    except Exception as error:
        if (problem := storage_problem(error, work.settings.folder)) is not None:
            _LOG.warning("%s: %s", claim.task, error)
            return _fail(work, problem)
        reference = new_id("ref")
        _LOG.exception("reference %s: task %s broke", reference, claim.task)
        _fail(work, Problem("internal", reference=reference))


def _fail(work: Work, problem: Problem) -> None:
    claim = work.claim
    with work.writing() as connection:
        queue.finish(connection, claim, "failed", reason=problem.as_dict())
        HANDLERS.load(claim.kind).failed(connection, claim, problem.as_dict())


def run_until_signalled(engine: Engine, settings: ServerSettings, blobs: BlobStore) -> None:
    """Run a worker until SIGTERM or SIGINT."""
    this = Worker(engine, settings, blobs)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: this.close())
    this.run()
