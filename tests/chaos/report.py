"""What became of the runs: counted from the database, the attempts' own files and the workers' logs."""

import json
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any

from sqlalchemy import func, select

from tests.chaos.place import Place
from tunery.core.attempt import AttemptFolder
from tunery.core.clock import MICROSECONDS
from tunery.db.engine import reading
from tunery.db.tables import attempt, model_version, run, task
from tunery.jobs.states import RUN_ENDED


@dataclass
class _Attempt:
    """What an engine wrote while it lived."""

    first: int
    last: int
    trains: bool
    resumed_from: int
    furthest: int
    first_step: int | None


def report(place: Place, asked: int, faults: int, detected: list[float]) -> dict[str, Any]:
    """The figures of a whole trial. `asked`: so many runs were acknowledged."""
    with reading(place.house.engine) as connection:
        states = dict(connection.execute(select(run.c.id, run.c.state)).tuples().all())
        published = connection.execute(
            select(model_version.c.run_id, func.count()).group_by(model_version.c.run_id)
        ).all()
        folders: dict[str, list[str]] = {}
        for id, folder in connection.execute(
            select(task.c.run_id, attempt.c.folder)
            .join(task, task.c.id == attempt.c.task_id)
            .order_by(attempt.c.number)
        ):
            folders.setdefault(id, []).append(folder)
    lives = {id: [one for folder in found if (one := _read(Path(folder)))] for id, found in folders.items()}
    stuck = sum(state not in RUN_ENDED for state in states.values())
    lost = asked - sum(state == "succeeded" for state in states.values()) - stuck
    double_run = max(0, len(states) - asked) + sum(_overlap(found) for found in lives.values())
    double_published = sum(count > 1 for _, count in published)
    repeated, seconds = _resumes(lives)
    wrong = max(0, lost) + stuck + double_run + double_published
    return {
        "faults_injected": faults,
        "faults_survived": max(0, faults - wrong),
        "runs": asked,
        "lost": max(0, lost),
        "stuck": stuck,
        "double_run": double_run,
        "double_published": double_published,
        "zombie_writes_blocked": place.log().count("lost the claim on"),
        "steps_repeated_p50": median(repeated) if repeated else 0,
        "steps_repeated_max": max(repeated, default=0),
        "resume_seconds_p50": _at(seconds, 0.5),
        "resume_seconds_p95": _at(seconds, 0.95),
        "detection_seconds_p95": _at(detected, 0.95),
    }


def _read(folder: Path) -> _Attempt | None:
    events, _ = AttemptFolder(folder).read_events()
    if not events:
        return None
    steps = [event for event in events if event["type"] == "metric"]
    began = next((event for event in events if event["type"] == "started"), {})
    return _Attempt(
        first=events[0]["time"],
        last=events[-1]["time"],
        trains=not folder.name.startswith("evaluate"),
        resumed_from=began.get("resumed_from") or 0,
        furthest=max((event["step"] for event in steps), default=began.get("resumed_from") or 0),
        first_step=steps[0]["time"] if steps else None,
    )


def _overlap(lives: list[_Attempt]) -> bool:
    """Whether two engines of one run worked at the same time."""
    return any(after.first < before.last for before, after in pairwise(lives))


def _resumes(lives: dict[str, list[_Attempt]]) -> tuple[list[int], list[float]]:
    """Of each training that went on in another engine: steps done again, seconds without one."""
    repeated: list[int] = []
    seconds: list[float] = []
    for found in lives.values():
        trained = [one for one in found if one.trains]
        for before, after in pairwise(trained):
            repeated.append(before.furthest - after.resumed_from)
            if after.first_step is not None:
                seconds.append((after.first_step - before.last) / MICROSECONDS)
    return repeated, seconds


def _at(values: list[float], share: float) -> float:
    """The value below which so great a share lies."""
    ordered = sorted(values)
    return round(ordered[min(len(ordered) - 1, int(share * len(ordered)))], 2) if ordered else 0.0


def write(found: dict[str, Any], path: Path) -> None:
    path.write_text(json.dumps(found, indent=2) + "\n")
