"""Trains: lays out the rows, drives engines to a result, and starts the run's next stage."""

from typing import Any, Literal

from sqlalchemy import Connection, Row, select, update

from tunery.core.attempt import checkpoint_folders
from tunery.core.errors import Problem
from tunery.data.laid_out import laid_out_parts
from tunery.db.engine import reading
from tunery.db.tables import run
from tunery.jobs import stages
from tunery.jobs.attempts import Ended, end_attempt
from tunery.jobs.engines import run_engine
from tunery.jobs.prepare import started_from, training_rows
from tunery.jobs.queue import Claim, finish
from tunery.jobs.work import Work
from tunery.schemas.run import ResolvedSpec, TrainResult

API_VERSION = 1


def work(work: Work) -> None:
    claim = work.claim
    assert claim.run is not None
    with reading(work.engine) as connection:
        row = connection.execute(select(run).where(run.c.id == claim.run)).one()
    resolved = ResolvedSpec.model_validate(row.resolved)
    with work.writing() as connection:
        stages.mark(connection, claim.run, "prepare", "running")
    train, validation = training_rows(work, row.inputs, resolved)
    parts = laid_out_parts(train.parent)
    with work.writing() as connection:
        stages.mark(connection, claim.run, "prepare", "succeeded")
        stages.mark(connection, claim.run, "train", "running")

    def own() -> dict[str, Any]:
        return {
            "start": started_from(work, row.id, resolved),
            "train": [str(train)],
            "validation": None if validation is None else str(validation),
            "parts": parts,
            "resume_from": [
                str(path)
                for id in (row.id, *row.inputs.get("checkpoints_of", []))
                for path in checkpoint_folders(work.settings.folder, id)
            ],
        }

    ended = run_engine(work, "train", row, own, _leave_off)
    if ended is not None:
        _finish(work, row, ended)


def _finish(work: Work, row: Row[Any], ended: Ended) -> None:
    claim = work.claim
    result = TrainResult.model_validate(ended.result)
    with work.writing(durable=False) as connection:
        end_attempt(connection, work, ended.number, result.status, ended.folder)
        kept = {"train": result.model_dump(mode="json"), "folder": str(ended.folder.path)}
        connection.execute(update(run).where(run.c.id == row.id).values(result=kept))
        if result.status == "succeeded":
            finish(connection, claim, "succeeded")
            stages.mark(connection, row.id, "train", "succeeded")
            stages.go_on(connection, claim.project, row.id)
        elif result.status == "failed":
            problem = result.error or Problem("engine_failed", detail="it gave no reason").as_dict()
            finish(connection, claim, "failed", reason=problem)
            stages.fail(connection, claim.project, row.id, "train", problem)
        elif result.status == "stopped":
            finish(connection, claim, "succeeded")
            stages.mark(connection, row.id, "train", "succeeded")
            stages.end(connection, claim.project, row.id, "stopped")
        else:
            _leave_off(connection, claim, result.status)


def _leave_off(connection: Connection, claim: Claim, status: Literal["paused", "cancelled"]) -> None:
    """Somebody paused or cancelled the training."""
    assert claim.run is not None
    finish(connection, claim, "succeeded" if status == "paused" else "cancelled")
    stages.mark(connection, claim.run, "train", "waiting" if status == "paused" else "skipped")
    stages.end(connection, claim.project, claim.run, status)


def failed(connection: Connection, claim: Claim, problem: dict[str, Any]) -> None:
    assert claim.run is not None
    stages.fail(connection, claim.project, claim.run, "train", problem)
