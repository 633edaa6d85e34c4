"""The stages of a run, prepare → train → evaluate → publish, and what comes after each.

Which stages a run has is fixed when it is submitted; those it doesn't need are `skipped`.
"""

from typing import Any

from sqlalchemy import Connection, select, update

from tunery.core.clock import now_us
from tunery.core.storage import PASSING
from tunery.db.tables import run
from tunery.jobs.line import enqueue
from tunery.jobs.recorder import add_event
from tunery.jobs.states import move_run
from tunery.schemas.run import RunSpec, RunState, Stage, StageState

ORDER = ("prepare", "train", "evaluate", "publish")
"""Prepare and train are one task: the rows are laid out where the engine will read them."""

NOUNS = {"prepare": "Preparation", "train": "Training", "evaluate": "The evaluation", "publish": "Publishing"}
"""What a stage is called in a sentence."""

SAYS: dict[RunState, str] = {
    "queued": "The run is queued.",
    "running": "The run is running.",
    "paused": "The run is paused.",
    "succeeded": "The run succeeded.",
    "stopped": "The run was stopped, and its model was kept.",
    "failed": "The run failed.",
    "cancelled": "The run was cancelled.",
}
"""What is noted when a run comes into a state."""

_ON_ENGINES = frozenset({"train", "evaluate"})


def planned(spec: RunSpec) -> list[Stage]:
    """The stages of a new run."""
    skipped = {
        "evaluate": spec.evaluate.dataset is None,
        "publish": not spec.publish.auto,
    }
    return [Stage(name=name, state="skipped" if skipped.get(name) else "waiting") for name in ORDER]


def mark(
    connection: Connection, run_id: str, stage: str, state: StageState, error: dict[str, Any] | None = None
) -> None:
    """Note that a stage began or ended."""
    stages = _stages(connection, run_id)
    for one in stages:
        if one.name == stage:
            one.state = state
            one.error = error
            one.doing, one.done, one.total = None, 0, 0
            if state == "running":
                one.idle += 0 if one.ended is None else now_us() - one.ended
                one.started, one.ended = one.started or now_us(), None
            elif one.started is not None or state in ("succeeded", "failed"):
                one.ended = now_us()
    _store(connection, run_id, stages)


def add_idle(connection: Connection, run_id: str, stage: str, microseconds: int) -> None:
    """Nobody worked on a stage for so long."""
    stages = _stages(connection, run_id)
    for one in stages:
        if one.name == stage:
            one.idle += microseconds
    _store(connection, run_id, stages)


def leave_off(connection: Connection, run_id: str, state: StageState) -> None:
    """Nobody works on the stage any more that was begun."""
    for one in _stages(connection, run_id):
        if one.state == "running":
            mark(connection, run_id, one.name, state)


def go_on(connection: Connection, project: str, run_id: str) -> None:
    """Queue the task of the next waiting stage, or end the run as succeeded."""
    for one in _stages(connection, run_id):
        if one.state == "waiting":
            begin(connection, project, run_id, one.name)
            return
    end(connection, project, run_id, "succeeded")


def begin(connection: Connection, project: str, run_id: str, stage: str) -> None:
    """Queue a stage's task. The rows are prepared by the task that trains."""
    kind = "train" if stage == "prepare" else stage
    enqueue(connection, kind, project, {}, run_id, engine=kind in _ON_ENGINES)


def end(
    connection: Connection, project: str, run_id: str, state: RunState, reason: dict[str, Any] | None = None
) -> None:
    """Move a run to where it stops, and say so among its events."""
    if not move_run(connection, run_id, state, reason=reason):
        return
    says = SAYS[state] if reason is None else f"{SAYS[state].removesuffix('.')}: {reason['message']}"
    level = "error" if state == "failed" else "info" if reason is None else "warning"
    note(connection, project, run_id, says, level)


def note(connection: Connection, project: str, run_id: str, message: str, level: str = "info") -> None:
    """Add a sentence to the run's events."""
    row = connection.execute(select(run.c.attempt, run.c.progress).where(run.c.id == run_id)).one()
    add_event(
        connection,
        project,
        run_id,
        {
            "v": 1,
            "type": "log",
            "level": level,
            "time": now_us(),
            "attempt": row.attempt,
            "step": row.progress["step"],
            "message": message,
        },
    )


def fail(connection: Connection, project: str, run_id: str, stage: str, problem: dict[str, Any]) -> None:
    """A stage failed, and with it the run; where only the disk refused it waits, to be resumed."""
    if problem["code"] in PASSING:
        mark(connection, run_id, stage, "waiting", problem)
        end(connection, project, run_id, "paused", problem)
    else:
        mark(connection, run_id, stage, "failed", problem)
        end(connection, project, run_id, "failed", problem)


def _stages(connection: Connection, run_id: str) -> list[Stage]:
    stored = connection.scalar(select(run.c.stages).where(run.c.id == run_id)) or []
    return [Stage.model_validate(one) for one in stored]


def _store(connection: Connection, run_id: str, stages: list[Stage]) -> None:
    connection.execute(
        update(run).where(run.c.id == run_id).values(stages=[one.model_dump() for one in stages])
    )
