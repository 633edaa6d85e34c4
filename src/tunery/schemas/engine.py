"""What the control plane hands to the engine beside the spec (attempt.json), and what it gets back (result.json)."""

from typing import Any, Literal

from tunery.schemas.base import Microseconds, Schema
from tunery.schemas.run import ResolvedSpec, TrainResult

__all__ = ["EngineInput", "EngineSpec", "EvaluatedRow", "EvaluationResult", "Part", "Score", "TrainResult"]


class Part(Schema):
    """Rows of one dataset, which lie together."""

    title: str
    train: int
    validation: int = 0


class EngineInput(Schema):
    """attempt.json: local paths and the resume point. The engine never sees a dataset id."""

    kind: Literal["train", "evaluate", "estimate"]
    attempt: int
    token: int
    """Fencing token of the claim that started it."""
    base_model: str
    """Folder of the base model."""
    start: str | None = None
    """Folder of an earlier run's model, an adapter or full weights, that this one goes on from; none = the base."""
    train: list[str] = []
    """Arrow files of canonical rows."""
    validation: str | None = None
    """Arrow file of validation rows."""
    resume_from: list[str] = []
    """Checkpoint folders of this and earlier attempts; the newest that verifies is used."""
    parts: list[Part] = []
    """The datasets that the rows came from, in the order in which they lie in the files; none = not told."""
    tokens: str | None = None
    """Folder where tokens are kept for later attempts and runs; none = they are made anew each time."""
    threads: int = 0
    """CPU threads; 0 = as many as there are cores."""
    adapter: str | None = None
    """Evaluate: folder of the tuned model's output (adapter or full weights); none = only the base."""
    evaluate: str | None = None
    """Evaluate: Arrow file of held-out rows."""


class EngineSpec(Schema):
    """spec.yaml of an attempt folder."""

    run: str
    created: Microseconds = 0
    """When the run was submitted: the date that templates write, whenever an attempt starts."""
    resolved: ResolvedSpec


class Score(Schema):
    """A metric's mean over rows, with a 95 % bootstrap interval."""

    mean: float
    low: float
    high: float
    rows: int


class EvaluationResult(Schema):
    """result.json of an evaluation. Rows are in rows.jsonl."""

    status: Literal["succeeded", "failed", "cancelled", "stopped", "paused"]
    error: dict[str, Any] | None = None
    rows: int = 0
    base: dict[str, Score] = {}
    """Metric name to score of the base model."""
    tuned: dict[str, Score] = {}
    seconds: float = 0.0


class EvaluatedRow(Schema):
    """One line of an evaluation's rows.jsonl."""

    row: int
    prompt: str
    expected: str
    base_answer: str
    tuned_answer: str | None
    base: dict[str, float]
    tuned: dict[str, float]
