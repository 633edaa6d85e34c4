"""The extension point of metrics."""

from dataclasses import dataclass
from typing import Literal, Protocol

from tunery.core.extensions import Point

Need = Literal["generated", "nll", "preference"]


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
    preference: float = 0.0
    """By how much the model prefers the expected answer to the row's worst one: in nats per token, or in the scores
    of a reward model. 0 where the row has no worse one."""


class Metric(Protocol):
    """What a module in this folder offers."""

    API_VERSION: int
    TITLE: str
    HELP: str
    HIGHER_IS_BETTER: bool
    SHARE: bool
    """A row scores 0 or 1, so the mean is a share of the rows: it is shown in per cent."""
    NEEDS: Need
    """What it looks at: a row without a worse answer has no preference, and a reward model has nothing else."""

    def score(self, answer: Answer) -> float:
        """The value for one row; a report shows the mean over rows."""
        ...


METRICS: Point[Metric] = Point("tunery.metrics", "metric", api_version=1)
