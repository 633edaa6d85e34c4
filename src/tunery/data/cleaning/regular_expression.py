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
HELP = "Removes rows that match a pattern, keeps only those, or replaces the matches."
_SECONDS = 2.0
"""A pattern that works longer on one row would go on for ever."""


class Settings(Schema):
    """The pattern and what is done."""

    pattern: str
    """Regular expression, in Python's syntax."""
    action: Literal["remove", "keep", "replace"] = "remove"
    """Remove rows that match, keep only those, or replace the matches."""
    replacement: str = ""
    r"""Text that replaces each match; \1 is the first group."""
    ignore_case: bool = False
    """Match regardless of upper and lower case."""

    @field_validator("pattern")
    @classmethod
    def _compiles(cls, value: str) -> str:
        try:
            regex.compile(value)
        except regex.error as error:
            raise ValueError(f"it isn't a valid regular expression: {error}") from error
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
                yield row if made is row else Changed(made, "matches were replaced")
            elif bool(found.search(text_of(row), timeout=_SECONDS)) == (settings.action == "keep"):
                yield row
            else:
                yield Removed(
                    "it matches the pattern"
                    if settings.action == "remove"
                    else "it doesn't match the pattern"
                )
        except TimeoutError as error:
            raise _unusable(f"it takes too long on row {number}") from error
        except (regex.error, IndexError) as error:
            raise _unusable(f"the replacement isn't valid ({error})") from error


def _unusable(detail: str) -> Problem:
    return Problem("pattern_unusable", where=Where(field="pattern"), detail=detail)
