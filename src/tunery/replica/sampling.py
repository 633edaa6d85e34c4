"""Choosing the next token from a model's logits. Knows nothing of text or requests."""

from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class Sampling:
    """How tokens are chosen. Temperature 0 takes the likeliest."""

    temperature: float = 1.0
    top_p: float = 1.0
    seed: int | None = None
    logprobs: int | None = None

    def generator(self) -> torch.Generator:
        """The source of chance of one answer: the same seed gives the same answer, whoever answers beside it."""
        generator = torch.Generator()
        if self.seed is None:
            generator.seed()
        else:
            generator.manual_seed(self.seed % 2**63)
        return generator


def choose(logits_V: torch.Tensor, sampling: Sampling, generator: torch.Generator) -> int:
    """The next token of one row, from float32 logits."""
    if sampling.temperature == 0:
        return int(logits_V.argmax())
    probabilities_V = torch.softmax(logits_V / sampling.temperature, dim=-1)
    if sampling.top_p < 1:
        sorted_V, order_V = probabilities_V.sort(descending=True, stable=True)
        before_V = sorted_V.cumsum(-1) - sorted_V
        sorted_V[before_V >= sampling.top_p] = 0
        return int(order_V[torch.multinomial(sorted_V, 1, generator=generator)])
    return int(torch.multinomial(probabilities_V, 1, generator=generator))


def logprobs(logits_V: torch.Tensor, token: int, alternatives: int) -> tuple[float, list[tuple[int, float]]]:
    """The log-probability of `token`, and the likeliest tokens with theirs."""
    logprobs_V = torch.log_softmax(logits_V, dim=-1)
    top = torch.topk(logprobs_V, alternatives) if alternatives else None
    pairs = [] if top is None else list(zip(top.indices.tolist(), top.values.tolist(), strict=True))
    return float(logprobs_V[token]), pairs
