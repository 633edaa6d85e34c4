"""Cleaning a dataset: the steps asked for, and what each of them did."""

from typing import Any

from pydantic import Field, model_validator

from tunery.schemas.base import Name, Schema


class CleaningStep(Schema):
    """One step with its settings; a bare name, or `{name: {settings}}`, will do."""

    step: str
    """Name of a cleaning step."""
    settings: dict[str, Any] = {}

    @model_validator(mode="before")
    @classmethod
    def _short(cls, value: Any) -> Any:
        if isinstance(value, str):
            return {"step": value}
        if isinstance(value, dict) and len(value) == 1 and "step" not in value:
            ((name, settings),) = value.items()
            return {"step": name, "settings": settings or {}}
        return value


class CleanRequest(Schema):
    """Make a new version of a dataset by applying these steps in order."""

    steps: list[CleaningStep] = Field(min_length=1, max_length=50)
    version: int | None = Field(None, ge=1, le=2**31 - 1)
    """Which version to clean; none = the newest."""
    name: Name | None = None
    """The dataset that gets the new version; none = the same."""
    publish: bool = False
    """Publish the new version right away instead of leaving a draft."""


class CleaningSample(Schema):
    """A row that a step removed or changed."""

    row: int
    """Its number in the version that was cleaned, from 0."""
    why: str
    before: str
    """Its text, shortened."""
    after: str | None = None
    """None = it was removed."""


class StepReport(Schema):
    """What one step did: rows_before = removed + rows_after, always."""

    step: str
    settings: dict[str, Any]
    rows_before: int
    removed: int
    changed: int
    rows_after: int
    reasons: dict[str, int]
    """How many rows for each reason."""
    samples: list[CleaningSample]
    """Some of the rows, of every reason."""


class CleaningReport(Schema):
    """Where a version comes from, and how."""

    source: str
    """The version that was cleaned, `name@version`."""
    source_hash: str
    """Its content hash."""
    steps: list[StepReport]
    rows_before: int
    rows_after: int
