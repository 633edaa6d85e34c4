"""1 where the model prefers the better answer to the worst one; else 0."""

from tunery.metrics.point import Answer, Need

API_VERSION = 1
TITLE = "Preference accuracy"
HELP = (
    "Share of rows whose better answer the model prefers to the worst: by its likelihood per token, or by the scores "
    "of a reward model. 50 % is guessing."
)
HIGHER_IS_BETTER = True
SHARE = True
NEEDS: Need = "preference"


def score(answer: Answer) -> float:
    """1.0 or 0.0."""
    return float(answer.preference > 0)
