"""Removes rows that say nearly what an earlier one says, told by MinHash over pieces of five characters.

Signatures lie in a file and candidates are found part by part, so memory doesn't grow with the rows.
"""

import mmap
from array import array
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from pydantic import Field

from tunery.data.cleaning.point import Removed, Rows, Tools, Verdict
from tunery.data.questions import PERMUTATIONS, bands, pieces, plain, question_of, sketch, text_of
from tunery.data.scatter import PARTS, Numbers, Scatter
from tunery.schemas.base import Schema

API_VERSION = 1
TITLE = "Near duplicates"
HELP = "Removes rows that are almost the same as an earlier row. The first one is kept."
_WIDTH = 4 * PERMUTATIONS
_COMPARED = 16
"""A row is compared with at most so many earlier ones that share a band with it."""


class Settings(Schema):
    """How like is too like."""

    likeness: float = Field(default=0.85, ge=0.5, le=1)
    """Rows at least this similar (estimated) count as near duplicates."""
    same: Literal["row", "question"] = "row"
    """What is compared: the whole row, or only the question."""


def datasets(settings: Settings) -> list[str]:
    """None."""
    return []


def clean(rows: Rows, settings: Settings, tools: Tools) -> Iterator[Verdict]:
    """Sketch every row, find those that are like an earlier one, then go through the rows once more."""
    path = tools.scratch / "signatures"
    read = question_of if settings.same == "question" else text_of
    with Scatter() as scatter, Numbers(len(rows)) as like:
        with path.open("wb") as file:
            for number, row in enumerate(rows):
                signature = sketch(pieces(plain(read(row)))).digest()
                array("I", signature).tofile(file)
                for band in bands(signature):
                    scatter.add(band, number)
        if len(rows):
            _find(scatter, path, like, settings.likeness)
        path.unlink()
        for number, row in enumerate(rows):
            yield (
                Removed(f"almost the same {settings.same} as an earlier row", like[number] - 1)
                if like[number]
                else row
            )


def _find(scatter: Scatter, path: Path, like: Numbers, likeness: float) -> None:
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as signatures:
        for part in range(PARTS):
            firsts: dict[int, list[int]] = {}
            for band, number in scatter.part(part):
                earlier = firsts.setdefault(band, [])
                for other in earlier:
                    if like[number] and like[number] <= other + 1:
                        break
                    if _alike(signatures, number, other) >= likeness:
                        like[number] = other + 1
                        break
                if len(earlier) < _COMPARED and not like[number]:
                    earlier.append(number)


def _alike(signatures: mmap.mmap, one: int, other: int) -> float:
    first = array("I", signatures[one * _WIDTH : (one + 1) * _WIDTH])
    second = array("I", signatures[other * _WIDTH : (other + 1) * _WIDTH])
    return sum(a == b for a, b in zip(first, second, strict=True)) / PERMUTATIONS
