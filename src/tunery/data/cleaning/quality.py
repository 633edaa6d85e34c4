"""Removes rows with a low quality score."""

from collections.abc import Iterator

from pydantic import Field

from tunery.data.cleaning.point import Removed, Rows, Tools, Verdict
from tunery.data.quality import SIGNS, SignName, judge
from tunery.schemas.base import Schema

API_VERSION = 1
TITLE = "Quality score"
HELP = "Scores every answer from 0 to 1 by signs of poor quality, and removes rows below a minimum score."


class Settings(Schema):
    """How good a row must be."""

    minimum: float = Field(0.5, gt=0, le=1)
    """Rows with a lower score are removed. A row starts at 1 and loses 0.6 for repetition, broken characters, a
    refusal, an echo of the question or an answer without any letter, and 0.3 for placeholders, leftover markup,
    capitals or an answer that is cut off."""
    ignore: list[SignName] = []
    """Signs that should not count."""


def datasets(settings: Settings) -> list[str]:
    """None."""
    return []


def clean(rows: Rows, settings: Settings, tools: Tools) -> Iterator[Verdict]:
    """Judge each row by itself."""
    for row in rows:
        found = judge(row, settings.ignore)
        if found.score < settings.minimum:
            yield Removed(", ".join(SIGNS[name].says for name in found.signs))
        else:
            yield row
