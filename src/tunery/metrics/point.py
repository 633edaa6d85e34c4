"""The extension point of metrics."""

from dataclasses import dataclass
from typing import Literal, Protocol

from tunery.core.extensions import Point


@dataclass(frozen=True)
class Answer:
    """One held-out row with what the model made of it."""

    prompt: str
    expected: str
    generated: str
    """Greedy answer; empty when no metric in the evaluation needs it."""
    nll: float
    """Sum of the negative log-likelihood of the expected answer's tokens, in nats."""
    tokens: int
    """Tokens of the expected answer."""


class Metric(Protocol):
    """What a module in this folder offers."""

    API_VERSION: int
    TITLE: str
    HELP: str
    HIGHER_IS_BETTER: bool
    NEEDS: Literal["generated", "nll"]

    def score(self, answer: Answer) -> float:
        """The value for one row; a report shows the mean over rows."""
        ...


METRICS: Point[Metric] = Point("tunery.metrics", "metric", api_version=1)
