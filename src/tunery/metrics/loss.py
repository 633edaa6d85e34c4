"""How surprised the model is by the expected answer: nats per token."""

from tunery.metrics.point import Answer, Need

API_VERSION = 1
TITLE = "Loss"
HELP = "Mean negative log-likelihood per token of the expected answer, in nats; 0 = certain of it."
HIGHER_IS_BETTER = False
SHARE = False
NEEDS: Need = "nll"


def score(answer: Answer) -> float:
    """Nats per token of this row; 0 for an empty answer."""
    return answer.nll / answer.tokens if answer.tokens else 0.0
