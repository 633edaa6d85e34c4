"""Removes rows that repeat an earlier one exactly, or that ask what an earlier one asks."""

from collections.abc import Iterator
from typing import Any, Literal

from tunery.data.cleaning.point import Removed, Rows, Tools, Verdict
from tunery.data.questions import digest, plain, question_of
from tunery.data.rows import Row, encode_row
from tunery.data.scatter import PARTS, Numbers, Scatter
from tunery.schemas.base import Schema

API_VERSION = 1
TITLE = "Exact duplicates"
HELP = "Removes rows that repeat an earlier row. The first one is kept."


class Settings(Schema):
    """What counts as the same."""

    same: Literal["row", "question"] = "row"
    """Compare the whole row, or only its question; then the first answer is kept. Case and spacing of questions
    don't matter."""


def datasets(settings: Settings) -> list[str]:
    """None."""
    return []


def clean(rows: Rows, settings: Settings, tools: Tools) -> Iterator[Verdict]:
    """Note every row's hash, find those that come again, then go through the rows once more."""
    with Scatter() as scatter, Numbers(len(rows)) as first:
        for number, row in enumerate(rows):
            scatter.add(_hash(row, settings), number)
        for part in range(PARTS):
            seen: dict[int, int] = {}
            for hash, number in scatter.part(part):
                if seen.setdefault(hash, number) != number:
                    first[number] = seen[hash] + 1
        for number, row in enumerate(rows):
            yield (
                Removed(f"same {settings.same} as an earlier row", first[number] - 1)
                if first[number]
                else row
            )


def _hash(row: Row, settings: Any) -> int:
    if settings.same == "row":
        told = digest(encode_row(row).decode("utf-8", "surrogatepass"))
    else:
        told = digest(plain(question_of(row)))
    return int.from_bytes(told[:8], "little", signed=True)
