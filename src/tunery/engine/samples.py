"""A few validation rows that the model in training answers at each validation, so that people see what it learns.

Answers are greedy, short, and end where their time is over. Nothing of it touches the training: weights, random
numbers and the layout of attention are as before.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from tunery.data.render import ChatRenderer
from tunery.data.row_text import spoken
from tunery.data.rows import Conversation, Labelled, Preference, Row, Text
from tunery.engine.events import Events
from tunery.engine.generate import greedy
from tunery.engine.inputs import TrainInputs
from tunery.engine.policy import Policy

NEW_TOKENS = 64
SECONDS = 10.0
"""For all answers of one validation."""
_BEGINNING = 32
"""Tokens of a plain text that are given to go on from."""
_TRIES = 4
"""Rows looked at for each that is wanted, where they are too long."""


@dataclass(frozen=True)
class Asked:
    """One row, ready to be answered."""

    prompt: str
    tokens: list[int]
    expected: str | None


def samples_of(inputs: TrainInputs) -> "Samples | None":
    """Those that a training asks; None where it asks none."""
    settings = inputs.settings
    if not (inputs.validation and settings.eval_steps and settings.eval_samples):
        return None
    longest, context = settings.max_sequence_length, inputs.base.limit
    return Samples(inputs.validation, settings.eval_samples, inputs.renderer, longest, context)


class Samples:
    """Asks the same rows at every validation."""

    def __init__(
        self, rows: Sequence[Row], count: int, renderer: ChatRenderer, longest: int, context: int | None
    ) -> None:
        """`count` of the rows, from all over them, with prompts of less than `longest` tokens."""
        self._renderer, self._context = renderer, context
        self._asked = list(_choose(rows, count, renderer, longest))

    def answer(self, policy: Policy, events: Events, leave: Callable[[], bool]) -> None:
        """Write an event for each answer."""
        if not self._asked:
            return
        end = time.monotonic() + SECONDS
        answers: dict[int, list[int]] = {}
        with policy.answering() as model:
            found = greedy(
                model,
                [asked.tokens for asked in self._asked],
                max_new_tokens=NEW_TOKENS,
                context=self._context,
                ends=self._renderer.eos_ids,
                leave=lambda: leave() or time.monotonic() > end,
            )
            for index, tokens in found:
                if leave():
                    return
                answers[index] = tokens
        for index, asked in enumerate(self._asked):
            answer = self._renderer.decode(answers[index]).strip()
            events.write("sample", prompt=asked.prompt, answer=answer, expected=asked.expected)


def _choose(rows: Sequence[Row], count: int, renderer: ChatRenderer, longest: int) -> Iterator[Asked]:
    """From places all over the rows, each row once."""
    count = min(count, len(rows))
    for number in range(count):
        first, last = (at * len(rows) // count for at in (number, number + 1))
        tried = (_ask(rows[at], renderer) for at in range(first, min(last, first + _TRIES)))
        yield from [asked for asked in tried if asked and 0 < len(asked.tokens) < longest][:1]


def _ask(row: Row, renderer: ChatRenderer) -> Asked | None:
    """What stands before a row's last answer; of plain text, its beginning."""
    if isinstance(row, Text):
        whole = next(iter(renderer.text(row.text, _BEGINNING + NEW_TOKENS)), None)
        tokens = list(whole.tokens) if whole is not None else []
        told = tokens[: min(_BEGINNING, len(tokens) // 2)]
        rest = tokens[len(told) :]
        return Asked(renderer.decode(told), told, renderer.decode(rest)) if told else None
    if isinstance(row, Preference):
        return Asked(
            spoken(row.messages), list(renderer.prompt(row.messages, row.tools)), row.chosen.text.strip()
        )
    if not isinstance(row, Conversation | Labelled):
        return None
    last = max((at for at, message in enumerate(row.messages) if message.role == "assistant"), default=0)
    if not last:
        return None
    before, wanted = row.messages[:last], isinstance(row, Conversation) or row.label
    expected = row.messages[last].text.strip() if wanted else None
    return Asked(spoken(before), list(renderer.prompt(before, row.tools)), expected)
