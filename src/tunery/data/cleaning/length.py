"""Removes rows that are too short or too long."""

from collections.abc import Iterator
from typing import Self

from pydantic import Field, model_validator

from tunery.data.cleaning.point import Removed, Rows, Tools, Verdict
from tunery.data.rows import Row, characters, messages_of
from tunery.schemas.base import Schema

API_VERSION = 1
TITLE = "Length"
HELP = "Removes rows whose text, answers or number of turns is outside the limits."


class Settings(Schema):
    """Bounds; what isn't set isn't looked at."""

    min_characters: int | None = Field(None, ge=0)
    """Minimum number of characters in a row."""
    max_characters: int | None = Field(None, ge=1)
    """Maximum number of characters in a row."""
    min_answer: int | None = Field(None, ge=0)
    """Minimum number of characters in each answer."""
    max_answer: int | None = Field(None, ge=1)
    """Maximum number of characters in each answer."""
    min_turns: int | None = Field(None, ge=1)
    """Minimum number of user and assistant turns."""
    max_turns: int | None = Field(None, ge=1)
    """Maximum number of user and assistant turns."""

    @model_validator(mode="after")
    def _something(self) -> Self:
        if all(value is None for value in self.model_dump().values()):
            raise ValueError("set at least one limit")
        return self


def datasets(settings: Settings) -> list[str]:
    """None."""
    return []


def clean(rows: Rows, settings: Settings, tools: Tools) -> Iterator[Verdict]:
    """Measure each row."""
    for row in rows:
        why = _wrong(row, settings)
        yield row if why is None else Removed(why)


def _wrong(row: Row, bounds: Settings) -> str | None:
    said = [message for message in messages_of(row) if message.role in ("user", "assistant")]
    answers = [len(message.text) for message in said if message.role == "assistant"]
    measured = (
        ("text", [characters(row)], bounds.min_characters, bounds.max_characters),
        ("answer", answers, bounds.min_answer, bounds.max_answer),
        ("conversation", [len(said)] if said else [], bounds.min_turns, bounds.max_turns),
    )
    for what, sizes, low, high in measured:
        if low is not None and any(size < low for size in sizes):
            return f"the {what} is too short"
        if high is not None and any(size > high for size in sizes):
            return f"the {what} is too long"
    return None
