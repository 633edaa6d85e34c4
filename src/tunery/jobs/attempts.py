"""One engine after another, until one ends with a result: start or take over, follow, record, start again.

What the engine does there is the handler's business; this module knows only the attempt folder.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from sqlalchemy import Connection, func, select, update
from sqlalchemy.exc import OperationalError

from tunery.core.attempt import AttemptFolder, Want, attempt_folder
from tunery.core.clock import now_us
from tunery.core.errors import Problem
from tunery.core.watch import FolderWatch
from tunery.db.engine import reading
from tunery.db.tables import attempt, run, task
from tunery.jobs import stages
from tunery.jobs.gaps import GAVE_WAY, furthest, tell_of_gap
from tunery.jobs.lifetime import beginning, end_for
from tunery.jobs.queue import Fenced
from tunery.jobs.recorder import record_new_events
from tunery.jobs.states import move_run
from tunery.jobs.work import Work
from tunery.launch.point import LAUNCHERS, Launcher, engine_call

LayOut = Callable[[AttemptFolder, int], None]
"""Fills a new attempt's folder; gets the folder and the attempt's number."""

_POLL_SECONDS = 0.2
"""Between looks at an attempt's folder: curves are to look live, and a look is a few stats."""
_SETTLE_SECONDS = 0.01
"""After a sign of the engine: what it writes in one go is to be read in one go."""
_CANCEL_SECONDS = 5.0
_SAVE_SECONDS = 120.0
_BACK_OFF_SECONDS = 1.0
"""Before the next engine: what ended the last one, such as full memory, may need a moment to be over."""


@dataclass(frozen=True)
class Ended:
    """How an engine ended: its result and where it worked."""

    result: dict[str, Any]
    folder: AttemptFolder
    number: int


@dataclass(frozen=True)
class _Wish:
    """What is wanted of a run, and who wants its slot."""

    want: Want
    gives_way_to: str | None

    @property
    def gives_way(self) -> bool:
        """It is to save and go back to the queue. What a person asked for comes first."""
        return self.want == "run" and self.gives_way_to is not None

    @property
    def of_engine(self) -> Want:
        return "pause" if self.gives_way else self.want


class Interrupted(Exception):
    """The worker is closing, or another task wants the slot; the engine saved, the task can go back to the queue."""

    def __init__(self, gives_way_to: str | None = None) -> None:
        super().__init__(gives_way_to)
        self.gives_way_to = gives_way_to


class LeftOff(Exception):
    """The run is to be paused or cancelled, and no engine is there to say so."""

    def __init__(self, want: Want) -> None:
        super().__init__(want)
        self.status: Literal["paused", "cancelled"] = "paused" if want == "pause" else "cancelled"


def drive(work: Work, stage: str, launcher_name: str, lay_out: LayOut) -> Ended:
    """Bring a stage to a result, through as many engines as it takes.

    Raises Problem `engine_crashed` after too many attempts in a row that gained no step, LeftOff, Interrupted, Fenced.
    """
    launcher = LAUNCHERS.load(launcher_name)
    while True:
        found = _open_attempt(work)
        if found is None:
            _leave_off(_wish(work))
            found = _begin(work, stage, launcher, lay_out)
        number, folder = found
        try:
            result, wish = _follow(work, launcher, folder, number)
        except (Fenced, OperationalError):
            raise  # the engine goes on, and is followed again
        except BaseException:
            launcher.kill(folder)
            raise
        saved = result is not None and result["status"] == "paused" and wish.want != "pause"
        if result is not None and not saved:
            return Ended(result, folder, number)
        _end_without_result(work, stage, number, _outcome(work, wish, saved=saved), folder)
        _leave_off(wish)
        if work.closing.is_set():
            raise Interrupted
        time.sleep(_BACK_OFF_SECONDS)  # what ended it may be over by then


def _outcome(work: Work, wish: _Wish, *, saved: bool) -> str:
    """How an attempt without a result ended."""
    if wish.want in ("pause", "cancel"):
        return "left off"
    if wish.gives_way:
        return GAVE_WAY
    return "interrupted" if saved or work.closing.is_set() else "lost"


def _leave_off(wish: _Wish) -> None:
    """Start no engine for a run that is to end or to rest. One that is to stop needs it, to finish the model."""
    if wish.want in ("pause", "cancel"):
        raise LeftOff(wish.want)
    if wish.gives_way:
        raise Interrupted(gives_way_to=wish.gives_way_to)


def end_attempt(connection: Connection, work: Work, number: int, outcome: str, folder: AttemptFolder) -> None:
    """Close an attempt, inside a fenced transaction, with all its engine said recorded."""
    record_new_events(connection, work.claim, folder, number)
    this = (attempt.c.task_id == work.claim.task) & (attempt.c.number == number)
    row = connection.execute(select(attempt).where(this)).one()
    ended = end_for(row, folder.last_sign())
    connection.execute(update(attempt).where(this).values(ended=ended, outcome=outcome))


def _open_attempt(work: Work) -> tuple[int, AttemptFolder] | None:
    """The attempt an earlier worker left open: to be taken over, dead or alive."""
    with reading(work.engine) as connection:
        row = connection.execute(
            select(attempt).where(attempt.c.task_id == work.claim.task, attempt.c.ended.is_(None))
        ).one_or_none()
    return None if row is None else (row.number, AttemptFolder(Path(row.folder)))


def _begin(work: Work, stage: str, launcher: Launcher, lay_out: LayOut) -> tuple[int, AttemptFolder]:
    claim = work.claim
    assert claim.run is not None
    with work.writing() as connection:
        number = (connection.scalar(select(run.c.attempt).where(run.c.id == claim.run)) or 0) + 1
        folder = attempt_folder(work.settings.folder, claim.run, number, stage)
        tell_of_gap(connection, claim, stage, number)
        connection.execute(update(run).where(run.c.id == claim.run).values(attempt=number))
        connection.execute(update(task).where(task.c.id == claim.task).values(attempts=task.c.attempts + 1))
        connection.execute(
            attempt.insert().values(
                task_id=claim.task,
                number=number,
                project_id=claim.project,
                token=claim.token,
                folder=str(folder.path),
                **beginning(),
            )
        )
        if move_run(connection, claim.run, "running", reason=None):
            connection.execute(
                update(run)
                .where(run.c.id == claim.run)
                .values(started=func.coalesce(run.c.started, now_us()))
            )
    lay_out(folder, number)
    command, environment = engine_call(work.settings)
    launcher.start([*command, str(folder.path)], folder, environment)
    return number, folder


def _follow(
    work: Work, launcher: Launcher, folder: AttemptFolder, number: int
) -> tuple[dict[str, Any] | None, _Wish]:
    """Record what the engine says and pass on what is wanted, until it ends."""
    with FolderWatch(folder.path) as changes:
        return _follow_changes(work, launcher, folder, number, changes)


def _follow_changes(
    work: Work, launcher: Launcher, folder: AttemptFolder, number: int, changes: FolderWatch
) -> tuple[dict[str, Any] | None, _Wish]:
    read_to = 0
    record_at = 0.0
    asked_at: float | None = None
    while True:
        if work.lost.is_set():
            _leave(work, launcher, folder, number)
        alive = launcher.alive(folder)
        result = folder.read_result()
        size = folder.events.stat().st_size if folder.events.exists() else 0
        over = result is not None or not alive
        if size > read_to and (over or time.monotonic() >= record_at):
            with work.writing(durable=False) as connection:
                record_new_events(connection, work.claim, folder, number)
            read_to, record_at = size, time.monotonic() + _POLL_SECONDS
            continue
        wish = _wish(work)
        if over:
            return result, wish
        want = wish.of_engine
        if want != "run" and folder.wanted() != want:
            folder.ask(want)
        if asked_at is None and (want != "run" or work.closing.is_set()):
            asked_at = time.monotonic()
            if work.closing.is_set():
                launcher.terminate(folder)
        patience = _CANCEL_SECONDS if want == "cancel" else _SAVE_SECONDS
        if asked_at is not None and time.monotonic() - asked_at > patience:
            launcher.kill(folder)
        if changes.wait(_POLL_SECONDS):
            # Many events come together: one transaction for those of a moment.
            time.sleep(max(_SETTLE_SECONDS, record_at - time.monotonic()))


def _wish(work: Work) -> _Wish:
    with reading(work.engine) as connection:
        found = connection.execute(
            select(run.c.want, task.c.gives_way_to)
            .join(task, task.c.run_id == run.c.id)
            .where(task.c.id == work.claim.task)
        ).one_or_none()
    return _Wish("cancel", None) if found is None else _Wish(*found)


def _leave(work: Work, launcher: Launcher, folder: AttemptFolder, number: int) -> None:
    """The claim is lost. The engine is another worker's now, unless that one closed this attempt."""
    with reading(work.engine) as connection:
        ended = connection.scalar(
            select(attempt.c.ended).where(attempt.c.task_id == work.claim.task, attempt.c.number == number)
        )
    if ended is not None:
        launcher.kill(folder)
    raise Fenced(work.claim.task)


def _end_without_result(work: Work, stage: str, number: int, outcome: str, folder: AttemptFolder) -> None:
    """Close an attempt that brought no result at the time of its last sign, and count it if it gained no step."""
    claim = work.claim
    assert claim.run is not None
    with work.writing() as connection:
        end_attempt(connection, work, number, outcome, folder)
        saved = furthest(connection, claim.run)
        row = connection.execute(select(task.c.gained, task.c.fruitless).where(task.c.id == claim.task)).one()
        gained = saved > row.gained
        fruitless = row.fruitless + 1 if outcome == "lost" and not gained else 0
        connection.execute(
            update(task)
            .where(task.c.id == claim.task)
            .values(gained=max(saved, row.gained), fruitless=fruitless)
        )
        if outcome in ("interrupted", "lost"):
            why = "its process ended unexpectedly"
            if work.closing.is_set():
                why = "the server was shut down"
            elif outcome == "interrupted":
                why = "its process was told to stop"
            says = f"{stages.NOUNS[stage]} was interrupted: {why}."
            stages.note(connection, claim.project, claim.run, says, "warning")
    if fruitless >= work.settings.max_fruitless_attempts:
        raise Problem("engine_crashed", detail=_last_words(folder), tries=fruitless)


def _last_words(folder: AttemptFolder) -> str:
    """The last line of the engine's log, for the person who must find out why."""
    try:
        lines = folder.log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    except FileNotFoundError:
        return "it wrote no log"
    return lines[-1][:300] if lines else "its log is empty"
