"""Judges base against tuned on held-out rows, by an engine."""

from pathlib import Path
from typing import Any

from sqlalchemy import Connection, select, update

from tunery.core.attempt import AttemptFolder
from tunery.core.clock import now_us
from tunery.core.errors import Problem
from tunery.core.ids import new_id
from tunery.db.engine import reading
from tunery.db.tables import evaluation, run
from tunery.jobs import stages
from tunery.jobs.attempts import Ended, end_attempt
from tunery.jobs.engines import run_engine
from tunery.jobs.prepare import held_out_rows, started_from
from tunery.jobs.queue import Claim, finish
from tunery.jobs.work import Work
from tunery.schemas.engine import EvaluationResult
from tunery.schemas.run import ResolvedSpec

API_VERSION = 1


def work(work: Work) -> None:
    claim = work.claim
    assert claim.run is not None
    with reading(work.engine) as connection:
        row = connection.execute(select(run).where(run.c.id == claim.run)).one()
    resolved = ResolvedSpec.model_validate(row.resolved)
    _begin(work, row.evaluation_id, resolved)
    rows = held_out_rows(work, row.inputs, resolved)
    trained = AttemptFolder(Path(row.result["folder"]))
    start = started_from(work, row.id, resolved)
    own = {"adapter": str(trained.output), "start": start, "evaluate": str(rows)}
    ended = run_engine(work, "evaluate", row, lambda: own, _leave_off)
    if ended is not None:
        _finish(work, ended)


def _begin(work: Work, existing: str | None, resolved: ResolvedSpec) -> None:
    claim = work.claim
    assert claim.run is not None
    wanted = resolved.spec.evaluate
    assert wanted.dataset is not None
    with work.writing() as connection:
        stages.mark(connection, claim.run, "evaluate", "running")
        if existing is not None:
            connection.execute(
                update(evaluation).where(evaluation.c.id == existing).values(state="running", error=None)
            )
            return
        id = new_id("eval")
        connection.execute(
            evaluation.insert().values(
                id=id,
                project_id=claim.project,
                run_id=claim.run,
                dataset=f"{wanted.dataset.dataset}@{wanted.dataset.version}",
                metrics=wanted.metrics,
                state="running",
                created=now_us(),
            )
        )
        connection.execute(update(run).where(run.c.id == claim.run).values(evaluation_id=id))


def _finish(work: Work, ended: Ended) -> None:
    claim = work.claim
    assert claim.run is not None
    result = EvaluationResult.model_validate(ended.result)
    blob = work.blobs.put_file(ended.folder.rows) if result.status == "succeeded" else None
    with work.writing(durable=False) as connection:
        end_attempt(connection, work, ended.number, result.status, ended.folder)
        connection.execute(
            update(evaluation)
            .where(evaluation.c.run_id == claim.run)
            .values(
                state=result.status,
                result=result.model_dump(mode="json"),
                rows_blob=blob,
                error=result.error,
            )
        )
        if result.status == "succeeded":
            finish(connection, claim, "succeeded")
            stages.mark(connection, claim.run, "evaluate", "succeeded")
            stages.go_on(connection, claim.project, claim.run)
        elif result.status == "failed":
            problem = result.error or Problem("engine_failed", detail="it gave no reason").as_dict()
            finish(connection, claim, "failed", reason=problem)
            stages.fail(connection, claim.project, claim.run, "evaluate", problem)
        else:
            _leave_off(connection, claim, result.status)


def _leave_off(connection: Connection, claim: Claim, status: str) -> None:
    """Somebody stopped, paused or cancelled while the trained model was being judged."""
    assert claim.run is not None
    connection.execute(update(evaluation).where(evaluation.c.run_id == claim.run).values(state=status))
    if status == "paused":
        finish(connection, claim, "succeeded")
        stages.mark(connection, claim.run, "evaluate", "waiting")
        stages.end(connection, claim.project, claim.run, "paused")
    else:
        finish(connection, claim, "cancelled")
        stages.mark(connection, claim.run, "evaluate", "skipped")
        stages.end(connection, claim.project, claim.run, "stopped" if status == "stopped" else "cancelled")


def failed(connection: Connection, claim: Claim, problem: dict[str, Any]) -> None:
    assert claim.run is not None
    connection.execute(
        update(evaluation).where(evaluation.c.run_id == claim.run).values(state="failed", error=problem)
    )
    stages.fail(connection, claim.project, claim.run, "evaluate", problem)
