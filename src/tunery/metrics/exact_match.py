"""1 where the answer is the expected one, white space at the ends and runs of it aside; else 0."""

from tunery.metrics.point import Answer, Need

API_VERSION = 1
TITLE = "Exact match"
HELP = "Share of rows answered exactly as expected. Runs of white space count as one space."
HIGHER_IS_BETTER = True
SHARE = True
NEEDS: Need = "generated"


def score(answer: Answer) -> float:
    """1.0 or 0.0."""
    return float(answer.generated.split() == answer.expected.split())
