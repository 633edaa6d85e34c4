"""What is known of a training when its curves are looked at. Pure values; it knows no database and no folder."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from math import isfinite
from typing import Any


@dataclass(frozen=True)
class Curve:
    """Values by step, ascending; only finite ones."""

    steps: tuple[int, ...] = ()
    values: tuple[float, ...] = ()

    def __len__(self) -> int:
        return len(self.steps)

    @classmethod
    def of(cls, steps: Sequence[int], values: Sequence[float]) -> "Curve":
        """The finite points."""
        kept = [(step, value) for step, value in zip(steps, values, strict=True) if isfinite(value)]
        return cls(tuple(step for step, _ in kept), tuple(value for _, value in kept))

    def at(self, step: int) -> float | None:
        """The newest value at or before a step."""
        found = None
        for known, value in zip(self.steps, self.values, strict=True):
            if known > step:
                break
            found = value
        return found


@dataclass(frozen=True)
class History:
    """One training so far."""

    train: Curve
    """train_loss"""
    validation: Curve = Curve()
    """validation_loss"""
    learning_rate: Curve = Curve()
    grad_norm: Curve = Curve()
    steps: int = 0
    """Optimizer steps planned; 0 = not known."""
    ended: bool = False
    """Nothing more will come."""
    words: bool = True
    """The training loss is that of words: the mean negative log-likelihood of a token, in nats."""
    settings: Mapping[str, Any] = field(default_factory=dict)
    counts: Mapping[str, int] = field(default_factory=dict)
    """Of `started` and `tokenized`: rows, dropped_rows, cut_rows, tokens, supervised_tokens, as far as known."""
    standing_out: Mapping[int, tuple[int, ...]] = field(default_factory=dict)
    """Steps whose loss stood out, and the numbers of the rows they were made of, from 1."""
    reason: Mapping[str, Any] | None = None
    """The Problem it failed with, as stored."""
    held_out_loss: float | None = None
    """Of the trained model on rows kept apart, where it was evaluated."""

    @property
    def done(self) -> float:
        """Share of the plan that is done."""
        if self.ended:
            return 1.0
        return self.train.steps[-1] / self.steps if self.steps and self.train.steps else 0.0


COUNTS = ("rows", "dropped_rows", "cut_rows", "tokens", "supervised_tokens")


def of_events(
    events: Iterable[Mapping[str, Any]],
    *,
    settings: Mapping[str, Any],
    words: bool,
    ended: bool,
    reason: Mapping[str, Any] | None = None,
) -> History:
    """The history that an attempt's own events tell; a step told twice counts as it was told last."""
    curves: dict[str, dict[int, float]] = {}
    notes: list[Mapping[str, Any]] = []
    for event in events:
        if event["type"] != "metric":
            notes.append(event)
            continue
        for name, value in event["values"].items():
            curves.setdefault(name, {})[event["step"]] = value

    def curve(name: str) -> Curve:
        points = sorted(curves.get(name, {}).items())
        return Curve.of([step for step, _ in points], [value for _, value in points])

    steps, counts, standing_out = told(notes)
    return History(
        train=curve("train_loss"),
        validation=curve("validation_loss"),
        learning_rate=curve("learning_rate"),
        grad_norm=curve("grad_norm"),
        steps=steps,
        ended=ended,
        words=words,
        settings=settings,
        counts=counts,
        standing_out=standing_out,
        reason=reason,
    )


def told(
    events: Iterable[Mapping[str, Any]],
) -> tuple[int, dict[str, int], dict[int, tuple[int, ...]]]:
    """What events beside the measurements say: steps planned, counts, steps that stood out with their rows."""
    steps = 0
    counts: dict[str, int] = {}
    standing_out: dict[int, tuple[int, ...]] = {}
    for event in events:
        if event["type"] == "started" or (event["type"], event.get("stage")) == ("tokenized", "tokenize"):
            steps = event.get("steps") or steps
            counts.update({name: event[name] for name in COUNTS if event.get(name) is not None})
        elif event["type"] == "stands_out":
            standing_out[event["step"]] = tuple(event["rows"])
    return steps, counts, standing_out
