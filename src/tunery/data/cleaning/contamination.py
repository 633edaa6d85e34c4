"""Removes rows that ask what a test row asks, so that a test says what the model learnt and not what it remembers."""

from collections.abc import Iterator

from pydantic import Field

from tunery.data.cleaning.point import Removed, Rows, Tools, Verdict
from tunery.data.leaks import TestQuestions
from tunery.data.questions import question_of
from tunery.schemas.base import Schema

API_VERSION = 1
TITLE = "Test-set contamination"
HELP = "Removes rows whose question also appears in a test set, verbatim or almost."


class Settings(Schema):
    """Which test sets."""

    tests: list[str] = Field(min_length=1)
    """Test datasets, as name or name@version."""
    likeness: float = Field(default=0.8, ge=0.5, le=1)
    """Questions at least this similar count as the same; 1 = identical."""


def datasets(settings: Settings) -> list[str]:
    """The test sets."""
    return settings.tests


def clean(rows: Rows, settings: Settings, tools: Tools) -> Iterator[Verdict]:
    """Hold every row against all test rows."""
    asked = TestQuestions(settings.likeness)
    for name in settings.tests:
        for row in tools.dataset(name):
            asked.add(question_of(row))
    for row in rows:
        found = asked.find(question_of(row))
        if not found:
            yield row
        elif any(alike == 1 for _, alike in found):
            yield Removed("a test row asks the same question")
        else:
            yield Removed("a test row asks almost the same question")
