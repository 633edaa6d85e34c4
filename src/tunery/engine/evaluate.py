"""Base against tuned on held-out rows: greedy answers, likelihood of the expected ones, metrics, intervals.

The last assistant turn of a conversation is the expected answer, all before it the prompt. Of a preference it is the
best answer, and the worst is weighed against it. Of a plain text all of it is expected and nothing is generated. A
reward model is asked for its scores only; its base, which has none, prefers what it finds likelier.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from transformers import PreTrainedModel

from tunery.core.attempt import AttemptFolder
from tunery.core.clock import to_datetime
from tunery.core.errors import Problem
from tunery.data.arrow import read_arrow
from tunery.data.example import Example, last_answer
from tunery.data.render import ChatRenderer
from tunery.data.row_text import spoken
from tunery.data.rows import Conversation, Message, Preference, Row, Text
from tunery.engine import attention, weights
from tunery.engine.batches import Batch, join
from tunery.engine.control import Control
from tunery.engine.events import Events
from tunery.engine.generate import greedy
from tunery.engine.policy import Likelihood, answer_dtype
from tunery.methods.point import METHODS
from tunery.metrics.point import METRICS, Answer, Metric
from tunery.models.families.point import Family
from tunery.models.folder import ModelFolder, inspect_folder, is_adapter, load_family
from tunery.models.rendering import renderer_of
from tunery.schemas.engine import EngineInput, EngineSpec, EvaluatedRow, EvaluationResult, Score

_RESAMPLES = 2000
_NLL_TOKENS = 4096
_SAMPLES = 3
_TELL_SECONDS = 2.0


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
    worst: Example | None = None
    """The same with the worst answer, where the row has one."""


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
        self._told = 0.0

    def answers(self, model: PreTrainedModel, family: Family, stage: str) -> list[Answer]:
        """What one model makes of every question."""
        wants = {metric.NEEDS for metric in self.metrics.values()}
        texts = self._generate(model, stage) if "generated" in wants else {}
        nll = self._measure(
            model, family, stage, [q.example for q in self.questions], Likelihood.sequence_nll
        )
        worst = {index: q.worst for index, q in enumerate(self.questions) if q.worst is not None}
        asked = list(worst.values()) if "preference" in wants else []
        worst_nll = dict(
            zip(worst, self._measure(model, family, stage, asked, Likelihood.sequence_nll), strict=False)
        )
        return [
            Answer(
                prompt=question.prompt,
                expected=question.expected,
                generated=texts.get(index, ""),
                nll=nll[index],
                tokens=_learnt(question.example),
                preference=worst_nll[index] / _learnt(worst[index]) - nll[index] / _learnt(question.example)
                if index in worst_nll
                else 0.0,
            )
            for index, question in enumerate(self.questions)
        ]

    def verdicts(self, model: PreTrainedModel, family: Family, stage: str) -> list[Answer]:
        """What a reward model makes of every question."""
        pairs = [one for q in self.questions if q.worst is not None for one in (q.example, q.worst)]
        scores = self._measure(model, family, stage, pairs, Likelihood.scores)
        return [
            Answer(q.prompt, q.expected, "", nll=0.0, tokens=0, preference=best - worst)
            for q, best, worst in zip(self.questions, scores[0::2], scores[1::2], strict=True)
        ]

    def scores(self, answer: Answer, question: Question) -> dict[str, float]:
        """Every metric that has a meaning for this row."""
        return {
            name: metric.score(answer)
            for name, metric in self.metrics.items()
            if (metric.NEEDS != "generated" or question.prompt_tokens is not None)
            and (metric.NEEDS != "preference" or question.worst is not None)
        }

    def _generate(self, model: PreTrainedModel, stage: str) -> dict[int, str]:
        asked = {i: q.prompt_tokens for i, q in enumerate(self.questions) if q.prompt_tokens is not None}
        places = list(asked)
        texts: dict[int, str] = {}
        doing = f"{stage} model answers"
        self._tell(doing, 0, len(asked))
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
            self._tell(doing, len(texts), len(asked))
        return texts

    def _measure(
        self,
        model: PreTrainedModel,
        family: Family,
        stage: str,
        examples: Sequence[Example],
        ask: Callable[[Likelihood, Batch], torch.Tensor],
    ) -> list[float]:
        """One number for each example."""
        usual = str(model.config._attn_implementation)
        if family.PACKED:
            model.set_attn_implementation(attention.NAME)
        try:
            likelihood = Likelihood(model, family)
            found: list[float] = []
            for batch in _batches(examples):
                if self._leave():
                    raise _Left
                with torch.inference_mode():
                    found += ask(likelihood, batch).tolist()
                self._tell(f"{stage} model is scored", len(found), len(examples))
            return found
        finally:
            if family.PACKED:
                model.set_attn_implementation(usual)

    def _tell(self, doing: str, done: int, total: int) -> None:
        """How many rows are done: at the beginning, at the end, and now and then between."""
        now = time.monotonic()
        if total and (done in (0, total) or now - self._told >= _TELL_SECONDS):
            self._told = now
            self._events.progress(doing, done, total)

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
    renderer = renderer_of(base, now=to_datetime(spec.created))
    metrics = {name: METRICS.load(name) for name in wanted.metrics}
    scored = "score" in METHODS.load(spec.resolved.spec.method).NEEDS
    if scored:
        metrics = {name: metric for name, metric in metrics.items() if metric.NEEDS == "preference"}
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
        before, after = _ask_both(
            judge,
            base,
            family,
            start=Path(given.start) if given.start else None,
            tuned=Path(given.adapter) if given.adapter else None,
            scored=scored,
        )
    except _Left:
        asked = control.wanted()
        return EvaluationResult(
            status="cancelled" if asked == "cancel" else "stopped" if asked == "stop" else "paused"
        )
    result = _report(folder, judge, before, after, events)
    result.seconds = round(time.monotonic() - began, 3)
    return result


def _ask_both(
    judge: Judge, base: ModelFolder, family: Family, *, start: Path | None, tuned: Path | None, scored: bool
) -> tuple[list[Answer], list[Answer] | None]:
    """`start`: where the training began, if not at the base."""
    dtype = answer_dtype(base.parameters)
    goes_on = start is not None and is_adapter(start)
    below = base.path if start is None or goes_on else start
    model = weights.load_model(below, dtype, family, generate=True)
    if start is not None and goes_on:
        weights.load_adapter(model, start)
    before = judge.answers(model, family, "base")
    if tuned is None:
        return before, None
    adapter = is_adapter(tuned)
    if scored or goes_on or not adapter:
        del model
        folder = below if adapter else tuned
        model = weights.load_model(folder, dtype, family, generate=not scored, scored=scored)
    if adapter:
        weights.load_adapter(model, tuned)
    ask = judge.verdicts if scored else judge.answers
    return before, ask(model, family, "tuned")


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
            f"{left_out} rows have no answer or exceed {limit} tokens, so they aren't evaluated.", "warning"
        )
    if not found:
        raise Problem("no_supervised_tokens", detail="no held-out row has an answer that fits the model")
    return found


def _question(number: int, row: Row, renderer: ChatRenderer, limit: int) -> Question | None:
    if isinstance(row, Text):
        example = next(iter(renderer.text(row.text, limit)), None)
        return (
            None
            if example is None or not any(example.supervised)
            else Question(number, "", row.text, None, example)
        )
    if isinstance(row, Preference):
        best, worst = (
            _talk((*row.messages, one), row.tools, renderer, limit) for one in (row.chosen, row.rejected)
        )
        if best is None or worst is None:
            return None
        return Question(number, spoken(row.messages), row.chosen.text, *best, worst[1])
    if not isinstance(row, Conversation):
        return None
    last = max((i for i, m in enumerate(row.messages) if m.role == "assistant"), default=0)
    found = _talk(row.messages[: last + 1], row.tools, renderer, limit) if last else None
    if found is None:
        return None
    return Question(number, spoken(row.messages[:last]), row.messages[last].text, *found)


def _talk(
    messages: tuple[Message, ...], tools: str, renderer: ChatRenderer, limit: int
) -> tuple[list[int], Example] | None:
    """Prompt and whole of a talk whose last turn is the answer; None where it doesn't fit."""
    prompt = list(renderer.prompt(messages[:-1], tools))
    whole = renderer.conversation(Conversation(messages, tools), limit)
    start, end = last_answer(whole)
    if whole.cut or start == end or len(prompt) >= limit:
        return None
    return prompt, replace(whole, supervised=[start <= at < end for at in range(len(whole.tokens))])


def _learnt(example: Example) -> int:
    return sum(example.supervised)


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
