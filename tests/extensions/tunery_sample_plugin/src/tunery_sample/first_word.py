"""1 where the answer begins with the expected word, capitals aside; else 0."""

from tunery.metrics.point import Answer, Need

API_VERSION = 1
TITLE = "First word"
HELP = "Share of answers whose first word is the expected one. Capitals don't count."
HIGHER_IS_BETTER = True
SHARE = True
NEEDS: Need = "generated"


def score(answer: Answer) -> float:
    """1.0 or 0.0."""
    given, expected = answer.generated.casefold().split()[:1], answer.expected.casefold().split()[:1]
    return float(given == expected)
