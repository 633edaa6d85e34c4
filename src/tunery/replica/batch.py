"""The answers being generated now, and their cache. Knows no threads and no HTTP.

A prompt is read alone, without padding; its row then joins the batch, which grows one column a step.

Shapes: B answers, T tokens of a prompt, L columns, V words of the vocabulary.
"""

from collections.abc import Callable

import torch
from transformers.cache_utils import Cache

from tunery.core.errors import Problem
from tunery.replica import cache as caches
from tunery.replica.answer import Answer
from tunery.replica.model import ServedModel
from tunery.replica.sampling import choose, logprobs
from tunery.schemas.serving import TokenLogprob


class Batch:
    """Rows of one batch. Every method runs on the decoder's thread."""

    def __init__(self, model: ServedModel, token_text: Callable[[int], str]) -> None:
        self._model = model
        self._token_text = token_text
        self.answers: list[Answer] = []
        self._cache: Cache | None = None
        self._lengths: list[int] = []
        """Tokens in each row's cache; the longest row has no padding."""

    def has_room_for(self, answer: Answer) -> bool:
        """Whether memory allows another row; the first always fits."""
        if not self.answers:
            return True
        if not self._model.batches or not self._model.mixes(each.adapter for each in (*self.answers, answer)):
            return False
        longest = max(len(each.prompt) + each.limit for each in (*self.answers, answer))
        return longest * (len(self.answers) + 1) <= self._model.cache_tokens

    def add(self, answer: Answer) -> None:
        """Read a prompt and choose its first token."""
        own = caches.new_cache() if self._model.batches else None
        logits_BV = self._model.forward(torch.tensor([answer.prompt]), [answer.adapter], own)
        if self._choose([answer], logits_BV) == [0]:
            return
        self.answers.append(answer)
        self._lengths.append(len(answer.prompt))
        if self._cache is None:
            self._cache = own
        elif own is not None:
            caches.join(self._cache, own)

    def step(self) -> None:
        """Generate one token for every answer."""
        if not self.answers:
            return
        adapters = [answer.adapter for answer in self.answers]
        if self._model.batches:
            ids_BT = torch.tensor([[answer.tokens[-1]] for answer in self.answers])
            logits_BV = self._model.forward(
                ids_BT,
                adapters,
                self._cache,
                positions_BT=torch.tensor(self._lengths)[:, None],
                mask_BL=self._mask(),
            )
            self._lengths = [length + 1 for length in self._lengths]
        else:
            answer = self.answers[0]
            logits_BV = self._model.forward(torch.tensor([answer.prompt + answer.tokens]), adapters, None)
        self._remove(self._choose(self.answers, logits_BV))

    def drop_cancelled(self) -> None:
        """Forget answers nobody waits for."""
        self._remove([row for row, answer in enumerate(self.answers) if answer.cancelled])

    def _mask(self) -> torch.Tensor | None:
        """Which columns are a row's own, its new token included; None when all are."""
        columns = max(self._lengths) + 1
        if min(self._lengths) + 1 == columns:
            return None
        first_B1 = columns - 1 - torch.tensor(self._lengths)[:, None]
        return (torch.arange(columns)[None, :] >= first_B1).long()

    def _choose(self, answers: list[Answer], logits_BV: torch.Tensor) -> list[int]:
        """Hand each answer its next token; returns the rows that are complete."""
        complete: list[int] = []
        for row, answer in enumerate(answers):
            logits_V = logits_BV[row]
            if not torch.isfinite(logits_V.max()):
                answer.fail(Problem("answer_broken_off", name="", detail="its numbers are not finite"))
                complete.append(row)
                continue
            token = choose(logits_V, answer.sampling, answer.generator)
            if answer.accept(token, self._logprob(logits_V, token, answer.sampling.logprobs)):
                complete.append(row)
        return complete

    def _logprob(self, logits_V: torch.Tensor, token: int, alternatives: int | None) -> TokenLogprob | None:
        if alternatives is None:
            return None
        own, top = logprobs(logits_V, token, alternatives)
        name = self._token_text
        return TokenLogprob(token=name(token), logprob=own, top=[(name(each), value) for each, value in top])

    def _remove(self, rows: list[int]) -> None:
        if not rows:
            return
        kept = [row for row in range(len(self.answers)) if row not in rows]
        widest = max(self._lengths)
        self.answers = [self.answers[row] for row in kept]
        self._lengths = [self._lengths[row] for row in kept]
        if not kept:
            self._cache = None
        elif self._cache is not None:
            caches.keep(self._cache, kept, widest - max(self._lengths))
