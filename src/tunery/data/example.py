"""What a model is trained on: tokens, and which of them are learnt."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain


@dataclass(frozen=True)
class Example:
    """A token sequence and which of its tokens are learnt from; or several sequences that begin alike."""

    tokens: Sequence[int]
    supervised: Sequence[bool]
    """supervised[i]: the model learns to predict tokens[i] from those before it. supervised[0] is always False."""
    cut: bool = False
    """It was longer than max_sequence_length."""
    branches: tuple[int, ...] = ()
    """Lengths of the stretches at the end of `tokens` that each follow what stands before the first of them, and
    don't see each other. Empty = one plain sequence."""
    label: bool | None = None
    """Whether its answer is wanted, where the row says so."""


def last_answer(example: Example) -> tuple[int, int]:
    """Where the last unbroken run of supervised tokens starts and ends; (0, 0) where there is none."""
    marks = example.supervised
    end = next((at for at in range(len(marks), 0, -1) if marks[at - 1]), 0)
    start = end
    while start > 0 and marks[start - 1]:
        start -= 1
    return start, end


def branched(
    wholes: Sequence[Example], limit: int, *, label: bool | None = None, learn_prompt: bool = False
) -> Example | None:
    """Uncut examples that differ in their last answer as one: what they share once, then what each has of its own.

    Only the last answers are supervised, and with `learn_prompt` what they share. Each is cut at `limit` tokens;
    None where one of the answers lies beyond it. Prompts for an encoder are never learnt.
    """
    if wholes[0].branches:
        read = len(wholes[0].tokens) - sum(wholes[0].branches)
        return paired(wholes[0].tokens[:read], [whole.tokens[read:] for whole in wholes], limit, label=label)
    answers = [last_answer(whole) for whole in wholes]
    shared = min(_alike([whole.tokens for whole in wholes]), *(start for start, _ in answers))
    if shared == 0 or any(start >= limit for start, _ in answers):
        return None
    tokens = list(wholes[0].tokens[:shared])
    supervised = [learn_prompt and at > 0 for at in range(shared)]
    branches: list[int] = []
    for whole, (start, end) in zip(wholes, answers, strict=True):
        own = whole.tokens[shared:limit]
        tokens += own
        supervised += [start <= at < end for at in range(shared, shared + len(own))]
        branches.append(len(own))
    cut = any(len(whole.tokens) > limit for whole in wholes)
    return Example(tokens, supervised, cut, tuple(branches), label)


def paired(
    prompt: Sequence[int], answers: Sequence[Sequence[int]], limit: int, *, label: bool | None = None
) -> Example:
    """A prompt for an encoder, and answers for a decoder as branches; an answer's first token only begins it.

    Prompt and answers have `limit` tokens each. A longer prompt keeps its last token, which ends it.
    """
    cut = any(len(part) > limit for part in (prompt, *answers))
    read = [*prompt[: limit - 1], prompt[-1]] if len(prompt) > limit else list(prompt)
    told = [answer[:limit] for answer in answers]
    supervised = [False] * len(read) + [at > 0 for answer in told for at in range(len(answer))]
    return Example([*read, *chain(*told)], supervised, cut, tuple(map(len, told)), label)


def _alike(sequences: Sequence[Sequence[int]]) -> int:
    """With how many equal tokens all of them begin."""
    for at, column in enumerate(zip(*sequences, strict=False)):
        if any(token != column[0] for token in column):
            return at
    return min(map(len, sequences))
