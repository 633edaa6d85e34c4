"""The answers being generated now, and their cache. Knows no threads and no HTTP.

A prompt is read alone, without padding; its row then joins the batch, which grows one column a step.

Shapes: B answers, T tokens of a prompt, L columns, V words of the vocabulary.
"""

from collections.abc import Callable, Iterable

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
        self._read: list[int] = []
        """Tokens of each row's prompt."""

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
        own = self._model.new_cache()
        logits_BV = self._model.read(answer.prompt, answer.adapter, own)
        if self._choose([answer], logits_BV) == [0]:
            return
        self.answers.append(answer)
        self._read.append(len(answer.prompt))
        self._lengths.append(1 if self._model.apart else len(answer.prompt))
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
            own_BL = _right(length + 1 for length in self._lengths)
            mask_BL = None if own_BL.all() else own_BL
            if self._model.apart:
                assert self._cache is not None
                read_BS = _right(self._read)
                logits_BV = self._model.go_on(ids_BT, adapters, self._cache, mask_BL=mask_BL, read_BS=read_BS)
            else:
                positions_BT = torch.tensor(self._lengths)[:, None]
                logits_BV = self._model.forward(
                    ids_BT, adapters, self._cache, positions_BT=positions_BT, mask_BL=mask_BL
                )
            self._lengths = [length + 1 for length in self._lengths]
        else:
            answer = self.answers[0]
            logits_BV = self._model.forward(torch.tensor([answer.prompt + answer.tokens]), adapters, None)
        self._remove(self._choose(self.answers, logits_BV))

    def drop_cancelled(self) -> None:
        """Forget answers nobody waits for."""
        self._remove([row for row, answer in enumerate(self.answers) if answer.cancelled])

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
        widest, longest = max(self._lengths), max(self._read)
        self.answers = [self.answers[row] for row in kept]
        self._lengths = [self._lengths[row] for row in kept]
        self._read = [self._read[row] for row in kept]
        if not kept:
            self._cache = None
        elif self._cache is not None:
            caches.keep(self._cache, kept, widest - max(self._lengths), longest - max(self._read))


def _right(lengths: Iterable[int]) -> torch.Tensor:
    """Rows of 1 for so many of the last columns, 0 before them; the longest row has no 0."""
    lengths_B1 = torch.tensor(list(lengths))[:, None]
    columns = int(lengths_B1.max())
    return (torch.arange(columns)[None, :] >= columns - lengths_B1).long()
