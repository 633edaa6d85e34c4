"""By how much the model prefers the better answer to the worst one."""

from tunery.metrics.point import Answer, Need

API_VERSION = 1
TITLE = "Preference margin"
HELP = (
    "Mean distance between the better answer and the worst, in nats per token; of a reward model, in its scores. "
    "Below 0 it prefers the worse."
)
HIGHER_IS_BETTER = True
SHARE = False
NEEDS: Need = "preference"


def score(answer: Answer) -> float:
    """Nats per token, or score."""
    return answer.preference
