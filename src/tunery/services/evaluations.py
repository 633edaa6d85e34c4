"""Evaluations: the scores, and every row behind them."""

from itertools import islice

import orjson
from sqlalchemy import select

from tunery.core.attempt import run_data_folder
from tunery.core.errors import Problem
from tunery.data.laid_out import read_report
from tunery.db.tables import evaluation
from tunery.schemas.engine import EvaluatedRow, EvaluationResult
from tunery.schemas.evaluation import Evaluation, EvaluationRowPage
from tunery.schemas.recipe import LeakCount
from tunery.services.context import Context


def get_evaluation(ctx: Context, id: str) -> Evaluation:
    """One evaluation. Raises Problem `not_found`."""
    row = ctx.conn.execute(
        select(evaluation).where(evaluation.c.id == id, evaluation.c.project_id == ctx.project)
    ).one_or_none()
    if row is None:
        raise Problem("not_found", noun="evaluation", name=id, list="tunery runs list")
    result = EvaluationResult(status="succeeded") if row.result is None else EvaluationResult(**row.result)
    return Evaluation(
        id=row.id,
        run=row.run_id,
        dataset=row.dataset,
        metrics=row.metrics,
        state=row.state,
        rows=result.rows,
        leaks=_leaks(ctx, row.run_id),
        base=result.base,
        tuned=result.tuned,
        error=row.error,
        created=row.created,
    )


def _leaks(ctx: Context, run: str) -> LeakCount | None:
    """What was counted when the run's rows were laid out."""
    report = read_report(run_data_folder(ctx.folder, run))
    tests = [] if report is None or report.leaks is None else report.leaks.tests
    return next((one for one in tests if one.role == "held_out"), None)


def read_rows(ctx: Context, id: str, offset: int = 0, limit: int = 20) -> EvaluationRowPage:
    """Some scored rows. Raises Problem `not_found`."""
    found = get_evaluation(ctx, id)
    blob = ctx.conn.scalar(select(evaluation.c.rows_blob).where(evaluation.c.id == id))
    if blob is None:
        return EvaluationRowPage(rows=[], offset=offset, total=0)
    with ctx.blobs.open(blob) as file:
        lines = islice(file, offset, offset + limit)
        rows = [EvaluatedRow.model_validate(orjson.loads(line)) for line in lines]
    return EvaluationRowPage(rows=rows, offset=offset, total=found.rows)
