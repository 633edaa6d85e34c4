"""What the queue and the lists cost as history grows: tasks a second, and milliseconds to list, filter and open runs.

    python -m bench.queue [--runs 100000] [--points 10000000] [--database URL]

Measures with ten finished runs, adds the others, and measures again; what counts is that the figures stay. Milliseconds
are medians, by the clock and of the processor (which says something where other work shares the machine). Without
`--database` it is SQLite in a temporary folder. Writes bench/results/queue.json.
"""

import argparse
import json
import os
import platform
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

from sqlalchemy import Engine, insert

from tunery.blobs.local import LocalBlobs
from tunery.core.clock import now_us
from tunery.core.folder import DataFolder
from tunery.core.ids import new_id
from tunery.core.settings import ServerSettings
from tunery.db.curves import Point, append_points
from tunery.db.engine import open_database, reading, writing
from tunery.db.tables import job, run, task
from tunery.jobs.line import enqueue
from tunery.jobs.queue import claim, fenced, finish
from tunery.schemas.run import ResolvedSpec, RunSpec, Stage
from tunery.services import runs
from tunery.services.context import Context
from tunery.services.tokens import first_start

RESULT = Path(__file__).parent / "results" / "queue.json"
_FEW = 10
_TASKS = 500
_KIND = "statistics"
_LOOKS = 40
_POINTS_A_RUN = 20_000


def main() -> None:
    """Measure, print, write the result."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=100_000)
    parser.add_argument("--points", type=int, default=10_000_000)
    parser.add_argument("--database", default="")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        found = measure(Path(folder), options.database, options.runs, options.points)
    for name in ("few", "many"):
        sys.stdout.write(
            name + ": " + ", ".join(f"{key} {value:.1f}" for key, value in found[name].items()) + "\n"
        )
    machine = {"processors": os.cpu_count(), "python": platform.python_version(), "load": os.getloadavg()[0]}
    RESULT.parent.mkdir(parents=True, exist_ok=True)
    kept = {"options": {"runs": options.runs, "points": options.points}, "machine": machine, **found}
    RESULT.write_text(json.dumps(kept, indent=2) + "\n")


def measure(folder: Path, database: str, many: int, points: int) -> dict[str, dict[str, float]]:
    """The figures with ten finished runs, and with `many` and so many metric points."""
    settings = ServerSettings(data=folder, database_url=database)
    for path in DataFolder(settings.folder).folders:
        path.mkdir(parents=True, exist_ok=True)
    engine = open_database(settings)
    try:
        with writing(engine) as connection:
            project, _ = first_start(connection)
        blobs = LocalBlobs(settings.folder / "blobs")
        history = _History(engine, project)
        history.add(_FEW, points=_FEW * 100)
        few = _figures(
            engine, project, lambda connection: Context(connection, settings, blobs, project), history
        )
        history.add(many - _FEW, points=points)
        figures = _figures(
            engine, project, lambda connection: Context(connection, settings, blobs, project), history
        )
    finally:
        engine.dispose()
    return {"few": few, "many": figures}


class _History:
    """Finished runs with their tasks and curves."""

    def __init__(self, engine: Engine, project: str) -> None:
        self._engine = engine
        self._project = project
        self._job = new_id("job")
        self.runs: list[str] = []
        self.with_curve = ""
        spec = RunSpec.model_validate({"name": "bench", "base_model": "none", "data": "rows"})
        self._resolved = ResolvedSpec(
            spec=spec, origins={}, base_model_hash="", data_hashes={}, code_version="0"
        ).model_dump(mode="json")
        with writing(engine) as connection:
            connection.execute(
                insert(job).values(
                    id=self._job,
                    project_id=project,
                    name="bench",
                    task="text-generation",
                    description="",
                    created=now_us(),
                )
            )

    def add(self, count: int, points: int) -> None:
        """So many runs more, one in five of them failed, and so many points on the curves of some."""
        stage = Stage(name="train", state="succeeded").model_dump()
        for start in range(0, count, 5000):
            ids = [new_id("run") for _ in range(min(5000, count - start))]
            rows = [self._run(id, len(self.runs) + number, stage) for number, id in enumerate(ids, 1)]
            tasks = [self._task(id) for id in ids]
            with writing(self._engine) as connection:
                connection.execute(insert(run), rows)
                connection.execute(insert(task), tasks)
            self.runs += ids
        left = points
        for id in reversed(self.runs):
            if left <= 0:
                break
            self._curve(id, min(left, _POINTS_A_RUN))
            left -= _POINTS_A_RUN
            self.with_curve = self.with_curve or id
        self.with_curve = self.runs[-1]

    def _run(self, id: str, number: int, stage: dict[str, Any]) -> dict[str, Any]:
        now = now_us()
        return {
            "id": id, "project_id": self._project, "job_id": self._job, "number": number,
            "state": "failed" if number % 5 == 0 else "succeeded", "method": "sft", "base_model": "none",
            "resolved": self._resolved, "inputs": {}, "stages": [stage], "progress": {"step": 10, "steps": 10},
            "created": now, "started": now, "ended": now,
        }  # fmt: skip

    def _task(self, run_id: str) -> dict[str, Any]:
        now = now_us()
        return {
            "id": new_id("task"), "project_id": self._project, "kind": "train", "state": "succeeded", "payload": {},
            "lane": "engine", "place": now, "run_id": run_id, "created": now, "started": now, "ended": now,
        }  # fmt: skip

    def _curve(self, id: str, points: int) -> None:
        made = (Point("train_loss", step, step, step, 1 / (step + 1)) for step in range(1, points + 1))
        with writing(self._engine) as connection:
            append_points(connection, self._project, id, 1, made)


def _figures(
    engine: Engine, project: str, context: Callable[[Any], Context], history: _History
) -> dict[str, float]:
    found: dict[str, float] = {}
    for name, durable in (("tasks", False), ("durable_tasks", True)):
        rate, of_processor = _tasks_per_second(engine, project, durable=durable)
        found |= {f"{name}_per_second": rate, f"{name}_per_processor_second": of_processor}
    middle = history.runs[len(history.runs) // 2]
    looks: dict[str, Callable[[Context], object]] = {
        "list": lambda ctx: runs.list_runs(ctx, limit=50),
        "list_after": lambda ctx: runs.list_runs(ctx, limit=50, after=middle),
        "filter": lambda ctx: runs.list_runs(ctx, state="failed", limit=50),
        "filter_none": lambda ctx: runs.list_runs(ctx, state="paused", limit=50),
        "filter_name": lambda ctx: runs.list_runs(ctx, name="bench", limit=50),
        "filter_no_name": lambda ctx: runs.list_runs(ctx, name="rare", limit=50),
        "open": lambda ctx: runs.get_run(ctx, middle),
        "events": lambda ctx: runs.events(ctx, middle, metrics=False),
        "curve": lambda ctx: runs.metrics(ctx, history.with_curve, ["train_loss"], points=1000),
        "curve_range": lambda ctx: runs.metrics(ctx, history.with_curve, ["train_loss"], 40, 90, points=1000),
    }
    for name, what in looks.items():
        walls, works = [], []
        for _ in range(_LOOKS):
            wall, work = time.perf_counter(), time.thread_time()
            with reading(engine) as connection:
                what(context(connection))
            works.append(time.thread_time() - work)
            walls.append(time.perf_counter() - wall)
        found[f"{name}_ms"], found[f"{name}_processor_ms"] = median(walls) * 1000, median(works) * 1000
    return found


def _tasks_per_second(engine: Engine, project: str, *, durable: bool) -> tuple[float, float]:
    """Claimed and finished, one after the other, by one worker: in a second of the clock, and of the processor.

    Not durable: as trainings, evaluations and analyses end, which would only end once more after a power cut. Durable:
    as imports and publishing end, each on the disk before the next is begun.
    """
    with writing(engine) as connection:
        for _ in range(_TASKS):
            enqueue(connection, _KIND, project, {})
    start, work = time.perf_counter(), time.thread_time()
    for _ in range(_TASKS):
        held = claim(engine, "bench", [_KIND], 60)
        assert held is not None
        with fenced(engine, held, durable=durable) as connection:
            finish(connection, held, "succeeded")
    return _TASKS / (time.perf_counter() - start), _TASKS / (time.thread_time() - work)


if __name__ == "__main__":
    main()
