"""What is kept of finished runs, and for how long: the rules, what they would remove now, and its removal.

Never touched: runs that aren't over or have a task waiting, a run's final model and what it began with, published
models (they are copies), the newest checkpoint of a run that failed or was stopped without a model, metrics, results
and evaluations.
"""

import os
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import ColumnElement, Connection, Row, String, and_, cast, delete, exists, false, func, select

from tunery.core.attempt import AttemptFolder
from tunery.core.clock import MICROSECONDS, now_us
from tunery.core.files import folder_size, size_of
from tunery.core.folder import DataFolder
from tunery.core.settings import ServerSettings
from tunery.db.tables import attempt, checkpoint, event, run, task
from tunery.jobs import stages
from tunery.jobs.states import RUN_ENDED, TASK_ENDED
from tunery.schemas.retention import Part, Rule

T = TypeVar("T")
Found = Iterator[tuple[T, int]]
"""What would go, each with its bytes."""

_DAY_US = 24 * 3600 * MICROSECONDS
_ORPHAN_SECONDS = 3600.0
"""A folder whose run isn't in the database may be that of a run that is just being submitted."""
_AT_ONCE = 500


@dataclass
class Removed:
    """How many of a part, and their bytes."""

    count: int = 0
    bytes: int = 0

    def add(self, bytes: int, count: int = 1) -> None:
        self.count += count
        self.bytes += bytes


@dataclass(frozen=True)
class _Said:
    """A rule in words."""

    setting: str | None
    removes: str
    keeps: str


_SAYS: dict[Part, _Said] = {
    "checkpoints": _Said(
        "keep_checkpoints_days",
        "Checkpoints of runs that are over",
        "Final models, published models, and the newest checkpoint of a run that failed or was stopped without a model",
    ),
    "logs": _Said(
        "keep_logs_days",
        "What engines printed, of runs that are over",
        "Scored rows of evaluations, and results",
    ),
    "events": _Said(
        "keep_events_days",
        "Events of runs that are over",
        "Curves, stages, results and costs, and the last event",
    ),
    "orphans": _Said(None, "Folders of runs that weren't submitted in the end", "Folders of every known run"),
}


def look(connection: Connection, settings: ServerSettings, project: str) -> list[Rule]:
    """Every rule with what it would remove now. Changes nothing."""
    rules: list[Rule] = []
    for part, find in _FINDERS.items():
        found = Removed()
        for _, bytes in find(connection, settings, project):
            found.add(bytes)
        rules.append(_rule(settings, part, found))
    left = Removed()
    for folder in orphans(connection, settings):
        left.add(folder_size(folder))
    return [*rules, _rule(settings, "orphans", left)]


def _rule(settings: ServerSettings, part: Part, found: Removed) -> Rule:
    said = _SAYS[part]
    days = 0.0 if said.setting is None else getattr(settings, said.setting)
    return Rule(
        part=part,
        setting=said.setting and f"TUNERY_{said.setting.upper()}",
        days=days,
        removes=said.removes,
        keeps=said.keeps,
        count=found.count,
        bytes=found.bytes,
    )


def trim_checkpoints(connection: Connection, settings: ServerSettings, project: str) -> Removed:
    """Put a number of them aside, to be emptied once this transaction is on the disk."""
    removed = Removed()
    aside = _aside(settings)
    for row, bytes in list(islice(_checkpoints(connection, settings, project), _AT_ONCE)):
        folder = Path(row.folder)
        if folder.is_dir():
            aside.mkdir(exist_ok=True)
            os.rename(folder, aside / f"{row.id}-{time.monotonic_ns()}")
        connection.execute(delete(checkpoint).where(checkpoint.c.id == row.id))
        removed.add(bytes)
    return removed


def trim_logs(connection: Connection, settings: ServerSettings, project: str) -> Removed:
    """Delete a number of them."""
    removed = Removed()
    for path, bytes in islice(_logs(connection, settings, project), _AT_ONCE):
        path.unlink(missing_ok=True)
        removed.add(bytes)
    return removed


def trim_events(connection: Connection, settings: ServerSettings, project: str) -> Removed:
    """Delete those of a number of runs; one that says so takes their place."""
    removed = Removed()
    for id, bytes in list(islice(_events(connection, settings, project), _AT_ONCE)):
        days = settings.keep_events_days
        stages.note(connection, project, id, f"Events are kept for {days:g} days after a run's end.")
        last = connection.scalar(select(run.c.event_seq).where(run.c.id == id))
        gone = connection.execute(delete(event).where(event.c.run_id == id, event.c.seq < last))
        removed.add(bytes, gone.rowcount)
    return removed


def trim_orphans(connection: Connection, settings: ServerSettings) -> Removed:
    """Delete what runs left that never came to be."""
    removed = Removed()
    for folder in orphans(connection, settings):
        removed.add(folder_size(folder))
        shutil.rmtree(folder, ignore_errors=True)
    return removed


def empty(settings: ServerSettings) -> None:
    """Delete what was put aside."""
    shutil.rmtree(_aside(settings), ignore_errors=True)


def orphans(connection: Connection, settings: ServerSettings) -> Iterator[Path]:
    """Folders of runs that the database doesn't know, such as those whose submission was undone."""
    folder = DataFolder(settings.folder).runs
    old = time.time() - _ORPHAN_SECONDS
    found = [path for path in folder.iterdir() if path.is_dir() and not path.name.startswith(".")]
    for start in range(0, len(found), _AT_ONCE):
        some = found[start : start + _AT_ONCE]
        named = select(run.c.id).where(run.c.id.in_([path.name for path in some]))
        known = set(connection.scalars(named))
        yield from (path for path in some if path.name not in known and path.stat().st_mtime < old)


def _checkpoints(connection: Connection, settings: ServerSettings, project: str) -> Found[Row[Any]]:
    later = checkpoint.alias()
    followed = exists().where(later.c.run_id == checkpoint.c.run_id, later.c.step > checkpoint.c.step)
    query = select(checkpoint, run.c.state, run.c.result, followed.label("followed"))
    query = query.join(run, run.c.id == checkpoint.c.run_id)
    for row in connection.execute(query.where(_over(settings.keep_checkpoints_days, project))):
        model_left = row.state == "cancelled" or (row.result or {}).get("train", {}).get("output") is not None
        if row.followed or model_left:
            yield row, row.bytes


def _logs(connection: Connection, settings: ServerSettings, project: str) -> Found[Path]:
    """What engines printed, and the lines they wrote for the worker, which has read them."""
    query = select(attempt.c.folder).join(task, task.c.id == attempt.c.task_id)
    query = query.join(run, run.c.id == task.c.run_id)
    for name in connection.scalars(query.where(_over(settings.keep_logs_days, project))):
        folder = AttemptFolder(Path(name))
        for path in (folder.log, folder.events):
            if path.exists():
                yield path, size_of(path)


def _events(connection: Connection, settings: ServerSettings, project: str) -> Found[str]:
    """Runs that have more than their last event."""
    bytes = func.sum(func.length(cast(event.c.body, String)))
    query = select(run.c.id, bytes).join(event, event.c.run_id == run.c.id)
    query = query.where(_over(settings.keep_events_days, project), event.c.seq < run.c.event_seq)
    for id, size in connection.execute(query.group_by(run.c.id)):
        yield id, int(size)


_FINDERS: dict[Part, Callable[[Connection, ServerSettings, str], Found[Any]]] = {
    "checkpoints": _checkpoints,
    "logs": _logs,
    "events": _events,
}


def _over(days: float, project: str) -> ColumnElement[bool]:
    """Runs that ended so long ago, with nothing that still works on them."""
    if not days:
        return false()
    other = task.alias()
    waiting = exists().where(other.c.run_id == run.c.id, other.c.state.not_in(TASK_ENDED))
    before = now_us() - int(days * _DAY_US)
    later = run.alias()
    retried = exists().where(later.c.retries_id == run.c.id, later.c.state.not_in(RUN_ENDED))
    over = and_(run.c.project_id == project, run.c.state.in_(RUN_ENDED), run.c.ended < before)
    return and_(over, ~waiting, ~retried)


def _aside(settings: ServerSettings) -> Path:
    return DataFolder(settings.folder).runs / ".trimmed"
