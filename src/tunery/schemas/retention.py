"""What is kept of finished runs, for how long, and what a trim would remove now."""

from typing import Literal

from tunery.schemas.base import Microseconds, Schema

Part = Literal["checkpoints", "logs", "events", "orphans"]
"""orphans: folders of runs that were never submitted in the end."""


class Rule(Schema):
    """One part of finished runs, and when it goes."""

    part: Part
    setting: str | None
    """The server's setting with the days; none where there is nothing to choose."""
    days: float
    """So many days after the run's end; 0 = it is kept for ever. Orphans go after an hour."""
    removes: str
    """What goes."""
    keeps: str
    """What stays, whatever the days."""
    count: int
    """How many would go now; of events, of how many runs."""
    bytes: int


class Retention(Schema):
    """The rules, each with what it would remove now."""

    rules: list[Rule]
    bytes: int
    """What a trim would free now."""
    trimmed: Microseconds | None
    """When the last one ended."""
