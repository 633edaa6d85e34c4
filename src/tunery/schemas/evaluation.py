"""An evaluation: base against tuned on held-out rows."""

from typing import Any

from tunery.schemas.base import Microseconds, Schema
from tunery.schemas.engine import EvaluatedRow, Score
from tunery.schemas.recipe import LeakCount
from tunery.schemas.run import RunState


class Evaluation(Schema):
    """A run's model and its base, measured on the same rows."""

    id: str
    run: str
    dataset: str
    metrics: list[str]
    state: RunState
    rows: int
    leaks: LeakCount | None = None
    """How many of them also appear in the training data; none = not known."""
    base: dict[str, Score]
    tuned: dict[str, Score]
    error: dict[str, Any] | None
    created: Microseconds


class EvaluationRowPage(Schema):
    """Some scored rows, from `offset`."""

    rows: list[EvaluatedRow]
    offset: int
    total: int
