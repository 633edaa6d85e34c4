"""From the lines of an attempt's events.jsonl to the database: events, curves, checkpoints, progress.

Runs inside a fenced transaction, together with the file offset it read up to, so that nothing is recorded
twice and nothing is lost, whoever dies when.
"""

from typing import Any

from sqlalchemy import Connection, select, update

from tunery.core.attempt import AttemptFolder
from tunery.core.ids import new_id
from tunery.db.curves import Point, append_points
from tunery.db.tables import attempt, checkpoint, event, run
from tunery.jobs.queue import Claim
from tunery.schemas.run import Progress


def record_new_events(connection: Connection, held: Claim, folder: AttemptFolder, number: int) -> int:
    """Record what the engine appended since the last time; returns how many events there were."""
    assert held.run is not None
    here = (attempt.c.task_id == held.task) & (attempt.c.number == number)
    offset = connection.scalar(select(attempt.c.event_offset).where(here))
    found, after = folder.read_events(offset or 0)
    if not found:
        return 0
    _record(connection, held, held.run, folder, number, found)
    connection.execute(update(attempt).where(here).values(event_offset=after))
    return len(found)


def add_event(connection: Connection, project: str, run_id: str, body: dict[str, Any]) -> None:
    """Record something the control plane did to a run, among the engine's events."""
    row = connection.execute(select(run.c.event_seq, run.c.attempt).where(run.c.id == run_id)).one()
    seq = row.event_seq + 1
    connection.execute(
        event.insert().values(
            run_id=run_id, seq=seq, project_id=project, attempt=row.attempt, type=body["type"], body=body
        )
    )
    connection.execute(update(run).where(run.c.id == run_id).values(event_seq=seq))


def _record(
    connection: Connection,
    held: Claim,
    run_id: str,
    folder: AttemptFolder,
    number: int,
    found: list[dict[str, Any]],
) -> None:
    project = held.project
    row = connection.execute(select(run.c.event_seq, run.c.progress).where(run.c.id == run_id)).one()
    seq, progress = row.event_seq, Progress.model_validate(row.progress)
    points: list[Point] = []
    for body in found:
        seq += 1
        if body["type"] == "metric":
            points += [
                Point(name, body["step"], body["time"], seq, value) for name, value in body["values"].items()
            ]
        else:
            connection.execute(
                event.insert().values(
                    run_id=run_id, seq=seq, project_id=project, attempt=number, type=body["type"], body=body
                )
            )
        if body["type"] == "checkpoint":
            _record_checkpoint(connection, project, run_id, folder, number, body)
        if held.kind == "train":
            progress = _progressed(progress, body)
    _record_stage(connection, run_id, held.kind, found)
    append_points(connection, project, run_id, number, points)
    connection.execute(
        update(run).where(run.c.id == run_id).values(event_seq=seq, progress=progress.model_dump())
    )


def _record_stage(connection: Connection, run_id: str, stage: str, found: list[dict[str, Any]]) -> None:
    """How far a stage is while it doesn't go by optimizer steps."""
    last = next((body for body in reversed(found) if body["type"] in ("progress", "metric")), None)
    if last is None:
        return
    told: dict[str, Any] = {"doing": None, "done": 0, "total": 0}
    if last["type"] == "progress":
        told = {"doing": last["stage"], "done": last["done"], "total": last["total"]}
    stages = connection.scalar(select(run.c.stages).where(run.c.id == run_id)) or []
    changed = [{**one, **told} if one["name"] == stage else one for one in stages]
    if changed != stages:
        connection.execute(update(run).where(run.c.id == run_id).values(stages=changed))


def _record_checkpoint(
    connection: Connection,
    project: str,
    run_id: str,
    folder: AttemptFolder,
    number: int,
    body: dict[str, Any],
) -> None:
    same = (
        (checkpoint.c.run_id == run_id)
        & (checkpoint.c.attempt == number)
        & (checkpoint.c.step == body["step"])
    )
    connection.execute(checkpoint.delete().where(same))  # a step may be saved twice: by plan, then on request
    connection.execute(
        checkpoint.insert().values(
            id=new_id("ckpt"),
            project_id=project,
            run_id=run_id,
            attempt=number,
            step=body["step"],
            folder=str(folder.checkpoints / body["name"]),
            hash=body["hash"],
            bytes=body["bytes"],
            created=body["time"],
        )
    )


def _progressed(progress: Progress, body: dict[str, Any]) -> Progress:
    if body["type"] == "started":
        return progress.model_copy(update={"steps": body["steps"], "step": body["step"]})
    if body["type"] == "checkpoint":
        return progress.model_copy(update={"saved": body["step"]})
    if body["type"] != "metric":
        return progress
    values = body["values"]
    progress = progress.model_copy(update={"tokens": int(values.get("tokens", progress.tokens))})
    if "train_loss" in values:
        return progress.model_copy(
            update={
                "step": body["step"],
                "loss": values["train_loss"],
                "epoch": values.get("epoch", progress.epoch),
                "tokens_per_second": values.get("tokens_per_second", progress.tokens_per_second),
                "eta_seconds": values.get("eta_seconds", progress.eta_seconds),
            }
        )
    return progress
