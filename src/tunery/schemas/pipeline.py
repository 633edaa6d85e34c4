"""Pipelines: saved definitions of a fine-tuning, with their versions, schedules and starts."""

from typing import Any, Literal

from pydantic import Field

from tunery.schemas.base import Microseconds, Name, Schema
from tunery.schemas.run import ResolvedSpec, RunSpec


class SavePipeline(Schema):
    """A definition to keep."""

    name: Name | None = None
    """Its name; none = ft_[base model]_[timestamp], for a template with _template behind."""
    template: bool = False
    """A template is a definition to start others from; it can't be started itself."""
    spec: RunSpec


class PipelineCheck(Schema):
    """What a definition would do, without keeping it."""

    resolved: ResolvedSpec
    """What it would run with now."""
    next: list[Microseconds]
    """When its schedule would start it, five times at most; empty where a person starts it."""


class Schedule(Schema):
    """When a pipeline starts by itself."""

    active: bool
    """Off: paused until it is turned on again."""
    next: list[Microseconds]
    """The next times, five at most; empty when the last day is over."""


class SetSchedule(Schema):
    """Turn a pipeline's schedule on or off."""

    active: bool


class Pipeline(Schema):
    """A saved definition, in its newest version."""

    id: str
    name: str
    template: bool
    version: int
    spec: RunSpec
    schedule: Schedule | None = None
    """None where a person starts it."""
    created: Microseconds
    changed: Microseconds


class PipelineVersion(Schema):
    """One version of a definition; it never changes."""

    version: int
    spec: RunSpec
    created: Microseconds


class PipelineStart(Schema):
    """One time at which a pipeline was to start, and what came of it."""

    id: str
    version: int
    due: Microseconds | None = None
    """The time of the schedule; none where a person started it."""
    outcome: Literal["started", "skipped", "refused"]
    run: str | None = None
    """`name #1` of the run."""
    run_id: str | None = None
    reason: dict[str, Any] | None = None
    """Why there is no run: a problem, as everywhere."""
    created: Microseconds = Field(description="When this came about.")
