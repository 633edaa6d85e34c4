"""What a run will need, from a short measurement of the real model on its real rows."""

from typing import Any, Literal

from tunery.schemas.base import Schema
from tunery.schemas.statistics import AnalysisState


class Band(Schema):
    """A predicted figure and the band it is expected in."""

    value: float
    low: float
    high: float


class Probe(Schema):
    """One batch that was tried."""

    tokens: int
    seconds: float


class EstimateResult(Schema):
    """result.json of an estimate."""

    status: Literal["succeeded", "failed", "cancelled", "stopped", "paused"]
    error: dict[str, Any] | None = None
    rows: int = 0
    tokens: int = 0
    """Trained on over all epochs, after packing and cutting."""
    steps: int = 0
    batches: int = 0
    longest_batch: int = 0
    """Tokens of the batch that needs most memory; it was tried."""
    train_seconds: Band | None = None
    """As a run's result counts them: without loading, evaluation and saving."""
    other_seconds: float = 0.0
    """Loading, tokenizing, reference log-likelihoods and validations, about."""
    memory_mb: Band | None = None
    """Peak of the engine's memory."""
    machine_mb: float = 0.0
    """Memory that this machine has for it."""
    fits: bool = True
    """The upper end of the memory band lies below what the machine has."""
    probes: list[Probe] = []
    """What was measured."""


class Estimate(Schema):
    """An estimate, or how far it is."""

    task: str
    state: AnalysisState
    progress: dict[str, Any] | None
    error: dict[str, Any] | None
    found: EstimateResult | None
    """None until it is there."""
