"""Base against tuned on held-out rows: greedy answers, likelihood of the expected ones, metrics, intervals.

The last assistant turn of a conversation is the expected answer, all before it the prompt. Of a plain text
all of it is expected and nothing is generated.
"""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from transformers import PreTrainedModel

from tunery.core.attempt import AttemptFolder
from tunery.core.clock import to_datetime
from tunery.core.errors import Problem
from tunery.data.arrow import read_arrow
from tunery.data.render import ChatRenderer
from tunery.data.rows import Conversation, Row, Text
from tunery.engine import attention, weights
from tunery.engine.batches import Batch, join
from tunery.engine.control import Control
from tunery.engine.events import Events
from tunery.engine.generate import greedy
from tunery.engine.policy import Likelihood, answer_dtype
from tunery.methods.point import Example
from tunery.metrics.point import METRICS, Answer, Metric
from tunery.models.families.point import Family
from tunery.models.folder import ModelFolder, inspect_folder, load_family
from tunery.schemas.engine import EngineInput, EngineSpec, EvaluatedRow, EvaluationResult, Score

_RESAMPLES = 2000
_NLL_TOKENS = 4096
_SAMPLES = 3


class _Left(Exception):
    """Something else is wanted."""


@dataclass(frozen=True)
class Question:
    """One held-out row, ready to be asked."""

    row: int
    prompt: str
    expected: str
    prompt_tokens: list[int] | None
    """None for plain text."""
    example: Example
    """Prompt and expected answer; the answer's tokens are supervised."""


class Judge:
    """Puts the same questions to one model after another."""

    def __init__(
        self,
        questions: list[Question],
        metrics: dict[str, Metric],
        renderer: ChatRenderer,
        context: int | None,
        max_new_tokens: int,
        events: Events,
        control: Control,
    ) -> None:
        self.questions, self.metrics = questions, metrics
        self._renderer, self._context, self._max_new_tokens = renderer, context, max_new_tokens
        self._events, self._control = events, control

    def answers(self, model: PreTrainedModel, family: Family, stage: str) -> list[Answer]:
        """What one model makes of every question."""
        wants = {metric.NEEDS for metric in self.metrics.values()}
        texts = self._generate(model, stage) if "generated" in wants else {}
        nll = self._measure(model, family, stage)
        return [
            Answer(
                prompt=question.prompt,
                expected=question.expected,
                generated=texts.get(index, ""),
                nll=nll[index],
                tokens=sum(question.example.supervised),
            )
            for index, question in enumerate(self.questions)
        ]

    def scores(self, answer: Answer, question: Question) -> dict[str, float]:
        """Every metric that has a meaning for this row."""
        return {
            name: metric.score(answer)
            for name, metric in self.metrics.items()
            if metric.NEEDS != "generated" or question.prompt_tokens is not None
        }

    def _generate(self, model: PreTrainedModel, stage: str) -> dict[int, str]:
        asked = {i: q.prompt_tokens for i, q in enumerate(self.questions) if q.prompt_tokens is not None}
        places = list(asked)
        texts: dict[int, str] = {}
        for index, tokens in greedy(
            model,
            list(asked.values()),
            max_new_tokens=self._max_new_tokens,
            context=self._context,
            ends=self._renderer.eos_ids,
            leave=self._leave,
        ):
            if self._leave():
                raise _Left
            texts[places[index]] = self._renderer.decode(tokens).strip()
            if len(texts) % 16 == 0 or len(texts) == len(asked):
                self._events.progress(f"{stage}: answers", len(texts), len(asked))
        return texts

    def _measure(self, model: PreTrainedModel, family: Family, stage: str) -> list[float]:
        """Sum of the negative log-likelihood of each expected answer."""
        usual = str(model.config._attn_implementation)
        if family.PACKED:
            model.set_attn_implementation(attention.NAME)
        try:
            likelihood = Likelihood(model, family)
            found: list[float] = []
            for batch in _batches([question.example for question in self.questions]):
                if self._leave():
                    raise _Left
                with torch.inference_mode():
                    found += _by_segment(likelihood.token_nll(batch), batch)
                self._events.progress(f"{stage}: likelihood", len(found), len(self.questions))
            return found
        finally:
            if family.PACKED:
                model.set_attn_implementation(usual)

    def _leave(self) -> bool:
        return self._control.wanted() != "run"


def evaluate(
    folder: AttemptFolder, spec: EngineSpec, given: EngineInput, events: Events, control: Control
) -> EvaluationResult:
    """Do one attempt of an evaluation."""
    began = time.monotonic()
    wanted = spec.resolved.spec.evaluate
    base = inspect_folder(Path(given.base_model))
    family = load_family(base)
    renderer = ChatRenderer.open(base.path, family.CHAT_TEMPLATE, now=to_datetime(spec.created))
    metrics = {name: METRICS.load(name) for name in wanted.metrics}
    if given.evaluate is None:
        raise Problem(
            "attempt_folder_invalid", path=str(folder.path), detail="attempt.json names no rows to evaluate"
        )
    rows = islice(read_arrow(Path(given.evaluate)), wanted.max_rows)
    questions = _questions(rows, renderer, base, events)
    judge = Judge(questions, metrics, renderer, base.limit, wanted.max_new_tokens, events, control)
    events.write(
        "started",
        steps=0,
        rows=len(questions),
        validation_rows=0,
        tokens=sum(len(question.example.tokens) for question in questions),
        supervised_tokens=sum(sum(question.example.supervised) for question in questions),
        trainable_parameters=0,
        parameters=base.parameters,
        resumed_from=None,
    )
    try:
        before, after = _ask_both(judge, base, family, Path(given.adapter) if given.adapter else None)
    except _Left:
        asked = control.wanted()
        return EvaluationResult(
            status="cancelled" if asked == "cancel" else "stopped" if asked == "stop" else "paused"
        )
    result = _report(folder, judge, before, after, events)
    result.seconds = round(time.monotonic() - began, 3)
    return result


def _ask_both(
    judge: Judge, base: ModelFolder, family: Family, tuned: Path | None
) -> tuple[list[Answer], list[Answer] | None]:
    model = weights.load_model(base.path, answer_dtype(base.parameters), family, generate=True)
    before = judge.answers(model, family, "base")
    if tuned is None:
        return before, None
    if (tuned / weights.ADAPTER_FILE).is_file():
        weights.load_adapter(model, tuned)
    else:
        del model
        model = weights.load_model(tuned, answer_dtype(base.parameters), family, generate=True)
    return before, judge.answers(model, family, "tuned")


def _questions(
    rows: Iterator[Row], renderer: ChatRenderer, base: ModelFolder, events: Events
) -> list[Question]:
    found: list[Question] = []
    left_out = 0
    limit = base.limit or 2**31
    for number, row in enumerate(rows):
        question = _question(number, row, renderer, limit)
        if question is None:
            left_out += 1
        else:
            found.append(question)
    if left_out:
        events.log(
            f"{left_out} rows hold no answer or don't fit {limit} tokens; they aren't evaluated.", "warning"
        )
    if not found:
        raise Problem("no_supervised_tokens", detail="no held-out row holds an answer that fits the model")
    return found


def _question(number: int, row: Row, renderer: ChatRenderer, limit: int) -> Question | None:
    if isinstance(row, Text):
        example = next(iter(renderer.text(row.text, limit)), None)
        return (
            None
            if example is None or not any(example.supervised)
            else Question(number, "", row.text, None, example)
        )
    if not isinstance(row, Conversation):
        return None
    last = max((i for i, m in enumerate(row.messages) if m.role == "assistant"), default=0)
    if last == 0:
        return None
    before, answer = row.messages[:last], row.messages[last]
    prompt = renderer.prompt(before)
    example = _only_last_turn(renderer.conversation(Conversation(row.messages[: last + 1]), limit))
    if example.cut or not any(example.supervised) or len(prompt) >= limit:
        return None
    spoken = before[0].text if len(before) == 1 else "\n".join(f"{m.role}: {m.text}" for m in before)
    return Question(number, spoken, answer.text, list(prompt), example)


def _only_last_turn(example: Example) -> Example:
    """Unmark every supervised token before the last unbroken run of them."""
    marks = list(example.supervised)
    end = max((i for i, mark in enumerate(marks) if mark), default=-1)
    start = end
    while start > 0 and marks[start - 1]:
        start -= 1
    return Example(example.tokens, [start <= i <= end and end >= 0 for i in range(len(marks))], example.cut)


def _batches(examples: Sequence[Example]) -> Iterator[Batch]:
    """In order, about as many tokens at a time as keep the processor busy."""
    group: list[Example] = []
    for example in examples:
        if group and sum(len(e.tokens) for e in group) + len(example.tokens) > _NLL_TOKENS:
            yield join(group)
            group = []
        group.append(example)
    if group:
        yield join(group)


def _by_segment(nll_N: torch.Tensor, batch: Batch) -> list[float]:
    ends_S = torch.tensor(batch.lengths).cumsum(0)
    segment_N = torch.searchsorted(ends_S, batch.predictors_N, right=True)
    return (
        torch.zeros(len(batch.lengths), dtype=torch.float64).index_add_(0, segment_N, nll_N.double()).tolist()
    )


def _report(
    folder: AttemptFolder, judge: Judge, before: list[Answer], after: list[Answer] | None, events: Events
) -> EvaluationResult:
    """Write every row, then the means."""
    rows: list[EvaluatedRow] = []
    for index, question in enumerate(judge.questions):
        tuned = after[index] if after else None
        rows.append(
            EvaluatedRow(
                row=question.row,
                prompt=question.prompt,
                expected=question.expected,
                base_answer=before[index].generated,
                tuned_answer=tuned.generated if tuned else None,
                base=judge.scores(before[index], question),
                tuned=judge.scores(tuned, question) if tuned else {},
            )
        )
        if tuned and index < _SAMPLES and question.prompt_tokens is not None:
            events.write("sample", prompt=question.prompt, answer=tuned.generated, expected=question.expected)
    folder.write_rows([row.model_dump() for row in rows])
    return EvaluationResult(
        status="succeeded",
        rows=len(rows),
        base=_means([row.base for row in rows]),
        tuned=_means([row.tuned for row in rows]) if after else {},
    )


def _means(rows: Sequence[dict[str, float]]) -> dict[str, Score]:
    names = list(dict.fromkeys(name for row in rows for name in row))
    return {name: bootstrap(np.array([row[name] for row in rows if name in row])) for name in names}


def bootstrap(values: np.ndarray) -> Score:
    """The mean, and where 95 % of the means of resampled rows lie; the same values give the same interval."""
    draw = np.random.default_rng(0)
    means = np.array([values[draw.integers(0, len(values), len(values))].mean() for _ in range(_RESAMPLES)])
    low, high = np.quantile(means, [0.025, 0.975])
    return Score(mean=float(values.mean()), low=float(low), high=float(high), rows=len(values))
