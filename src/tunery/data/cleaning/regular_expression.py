"""Removes rows by a regular expression, or replaces what it finds."""

from collections.abc import Iterator
from functools import partial
from typing import Literal

import regex
from pydantic import field_validator

from tunery.core.errors import Problem, Where
from tunery.data.cleaning.point import Changed, Removed, Rows, Tools, Verdict
from tunery.data.questions import text_of
from tunery.data.row_text import with_text
from tunery.schemas.base import Schema

API_VERSION = 1
TITLE = "Regular expression"
HELP = "Removes rows that a pattern is found in, keeps only those, or replaces what it finds."
_SECONDS = 2.0
"""A pattern that works longer on one row would go on for ever."""


class Settings(Schema):
    """The pattern and what is done."""

    pattern: str
    """As in Python."""
    action: Literal["remove", "keep", "replace"] = "remove"
    """Remove rows where it is found, keep only those, or replace what it finds."""
    replacement: str = ""
    r"""What stands there instead; \1 is the first group."""
    ignore_case: bool = False
    """Capitals don't matter."""

    @field_validator("pattern")
    @classmethod
    def _compiles(cls, value: str) -> str:
        try:
            regex.compile(value)
        except regex.error as error:
            raise ValueError(f"it is no regular expression: {error}") from error
        return value


def datasets(settings: Settings) -> list[str]:
    """None."""
    return []


def clean(rows: Rows, settings: Settings, tools: Tools) -> Iterator[Verdict]:
    """Look for the pattern in each row. Raises Problem `pattern_unusable`."""
    found = regex.compile(settings.pattern, regex.IGNORECASE if settings.ignore_case else 0)
    replace = partial(found.sub, settings.replacement, timeout=_SECONDS)
    for number, row in enumerate(rows, start=1):
        try:
            if settings.action == "replace":
                made = with_text(row, replace)
                yield row if made is row else Changed(made, "the pattern was replaced")
            elif bool(found.search(text_of(row), timeout=_SECONDS)) == (settings.action == "keep"):
                yield row
            else:
                yield Removed(
                    "the pattern is in it" if settings.action == "remove" else "the pattern isn't in it"
                )
        except TimeoutError as error:
            raise _unusable(f"it takes too long on row {number}") from error
        except (regex.error, IndexError) as error:
            raise _unusable(f"the replacement can't be made ({error})") from error


def _unusable(detail: str) -> Problem:
    return Problem("pattern_unusable", where=Where(field="pattern"), detail=detail)
