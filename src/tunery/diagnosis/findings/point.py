"""The extension point of findings: each looks at a training's history and tells whether it sees its sign there."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from tunery.core.extensions import Point
from tunery.diagnosis.history import History
from tunery.schemas.diagnosis import Severity


@dataclass(frozen=True)
class Seen:
    """A sign that is there. `says` and `advice` are format strings over `values` and `first_step`, `last_step`."""

    severity: Severity
    says: str
    """What is seen, with its figures, in a sentence or two."""
    advice: Sequence[str]
    """What to do about it, the likeliest first."""
    first_step: int
    last_step: int
    values: Mapping[str, float] = field(default_factory=dict)
    """The figures it rests on, by name."""
    steps: Sequence[int] = ()
    """Single steps to mark on the curve."""
    rows: Sequence[int] = ()
    """Numbers of the training rows it points at, from 1."""


class Sign(Protocol):
    """What a module in this folder offers; its file name is the finding's code."""

    API_VERSION: int
    TITLE: str
    HELP: str
    """When it is found, and what it means."""

    def look(self, history: History) -> Seen | None:
        """The sign, where it is there; pure, and quiet where there is too little to see."""
        ...


FINDINGS: Point[Sign] = Point("tunery.diagnosis.findings", "finding", api_version=1)
