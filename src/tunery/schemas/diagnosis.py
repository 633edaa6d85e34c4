"""A diagnosis: what the curves of a training say, each finding with its evidence and what to do."""

from typing import Literal

from tunery.schemas.base import Schema

Severity = Literal["problem", "warning", "hint"]


class Finding(Schema):
    """One thing that the curves of a run say."""

    code: str
    severity: Severity
    """problem: the model is probably of no use. warning: it could be better. hint: good to know."""
    title: str
    message: str
    """What is seen, with its figures."""
    advice: list[str]
    """What to do about it, the likeliest first."""
    first_step: int
    last_step: int
    """It is seen from the one step to the other."""
    steps: list[int] = []
    """Single steps that it points at."""
    values: dict[str, float] = {}
    """The figures it rests on."""
    rows: list[int] = []
    """Numbers of training rows that it points at, from 1."""


class Diagnosis(Schema):
    """What the curves of a run say so far."""

    run: str
    step: int
    """It looks at everything up to this step."""
    points: int
    """Measurements of the training loss that it rests on."""
    complete: bool
    """The training is over; before that, findings may come and go."""
    findings: list[Finding] = []
    """The most severe first; none: nothing stands out."""
