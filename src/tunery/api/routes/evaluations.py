"""Evaluations: base against tuned."""

from fastapi import APIRouter

from tunery.api.paging import Offset, Rows
from tunery.api.session import Reading
from tunery.schemas.evaluation import Evaluation, EvaluationRowPage
from tunery.services import evaluations

router = APIRouter(prefix="/evaluations")


@router.get("/{evaluation}")
def get_evaluation(ctx: Reading, evaluation: str) -> Evaluation:
    """The scores of base and tuned model."""
    return evaluations.get_evaluation(ctx, evaluation)


@router.get("/{evaluation}/rows")
def read_evaluation_rows(
    ctx: Reading, evaluation: str, offset: Offset = 0, limit: Rows = 20
) -> EvaluationRowPage:
    """The rows behind the scores: question, expected answer, both models' answers."""
    return evaluations.read_rows(ctx, evaluation, offset, limit)
