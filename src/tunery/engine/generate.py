"""Greedy answers for many prompts: batches of like length, padded on the left, with a cache of keys and values."""

import inspect
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from transformers import GenerationConfig, PreTrainedModel, StoppingCriteria, StoppingCriteriaList

TOKENS_PER_BATCH = 8192
ROWS_PER_BATCH = 32


class _Asked(StoppingCriteria):
    """Ends a generation early when something else is wanted."""

    def __init__(self, leave: Callable[[], bool]) -> None:
        self._leave = leave

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor, **kwargs: Any) -> torch.Tensor:  # pyright: ignore[reportIncompatibleMethodOverride]
        return torch.full((len(input_ids),), self._leave())


def greedy(
    model: PreTrainedModel,
    prompts: Sequence[Sequence[int]],
    *,
    max_new_tokens: int,
    context: int | None,
    ends: Sequence[int],
    leave: Callable[[], bool],
) -> Iterator[tuple[int, list[int]]]:
    """(index of the prompt, its answer's tokens without end marker), in no particular order.

    An answer ends at one of `ends`, after `max_new_tokens`, or where `context` is full. After `leave()` turned
    true, answers are not to be trusted.
    """
    stop = StoppingCriteriaList([_Asked(leave)])
    # A state that runs through the row would run through its padding too.
    pads = "past_key_values" in inspect.signature(model.forward).parameters
    apart = bool(model.config.is_encoder_decoder)
    for group in _by_length(prompts, max_new_tokens, pads=pads):
        longest = max(len(prompts[index]) for index in group)
        # A decoder that has its own text has the whole context for it, and begins with a token of its own.
        taken, begun = (0, 1) if apart else (longest, longest)
        room = max_new_tokens if context is None else min(max_new_tokens, context - taken)
        ids = torch.full((len(group), longest), ends[0] if ends else 0)
        mask = torch.zeros_like(ids)
        for line, index in enumerate(group):
            prompt = torch.tensor(prompts[index])
            ids[line, longest - len(prompt) :] = prompt
            mask[line, longest - len(prompt) :] = 1
        # The model's own generation_config may sample or penalise; a measurement must not.
        model.generation_config = GenerationConfig(
            do_sample=False,
            max_new_tokens=room,
            eos_token_id=list(ends) or None,
            pad_token_id=ends[0] if ends else 0,
            decoder_start_token_id=model.config.decoder_start_token_id if apart else None,
        )
        # Not in inference mode: what a layer keeps for later, training couldn't use.
        with torch.no_grad():
            out = model.generate(input_ids=ids, attention_mask=mask, stopping_criteria=stop)  # pyright: ignore[reportCallIssue]
        for line, index in enumerate(group):
            yield index, _until_end(out[line, begun:].tolist(), ends)


def _until_end(tokens: list[int], ends: Sequence[int]) -> list[int]:
    for at, token in enumerate(tokens):
        if token in ends:
            return tokens[:at]
    return tokens


def _by_length(prompts: Sequence[Sequence[int]], extra: int, *, pads: bool) -> Iterator[list[int]]:
    """Indices of prompts of like length, of the same one unless `pads`, as many at a time as the budget takes.

    The longest come first.
    """
    group: list[int] = []
    for index in sorted(range(len(prompts)), key=lambda i: len(prompts[i]), reverse=True):
        longest = len(prompts[group[0] if group else index])
        full = len(group) == ROWS_PER_BATCH or (len(group) + 1) * (longest + extra) > TOKENS_PER_BATCH
        if group and (full or not (pads or len(prompts[index]) == longest)):
            yield group
            group = []
        group.append(index)
    if group:
        yield group
