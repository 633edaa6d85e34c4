"""The extension point of cleaning steps: one pass over rows that keeps, changes or removes each.

A step is told of rows one after the other and may go through them several times; it holds little, so that any
number of rows can be cleaned.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from tunery.core.extensions import Point
from tunery.data.rows import Row
from tunery.schemas.base import Schema


@dataclass(frozen=True)
class Removed:
    """This row goes."""

    why: str
    """A few words; rows of one reason are counted together."""
    like: int | None = None
    """Number of the row that makes this one needless."""
    shown: Row | None = None
    """What the report may show of it, where that isn't the row itself."""


@dataclass(frozen=True)
class Changed:
    """This row stays, in another form."""

    row: Row
    why: str
    shown: Row | None = None
    """What the report may show of it as it was, where that isn't the row itself."""


Verdict = Row | Removed | Changed
"""A row as it was is kept."""


class Rows(Protocol):
    """Rows in order; may be gone through again and again."""

    def __len__(self) -> int: ...
    def __iter__(self) -> Iterator[Row]: ...


@dataclass(frozen=True)
class Tools:
    """What a step may use beside the rows."""

    scratch: Path
    """A folder for temporary files; gone afterwards."""
    dataset: Callable[[str], Iterable[Row]]
    """The rows of another dataset that the settings name."""


class Step(Protocol):
    """What a module in this folder offers; its file name is the step's name."""

    API_VERSION: int
    TITLE: str
    HELP: str
    Settings: type[Schema]

    def datasets(self, settings: Any) -> list[str]:
        """Names of other datasets that it needs, as `name` or `name@version`."""
        ...

    def clean(self, rows: Rows, settings: Any, tools: Tools) -> Iterator[Verdict]:
        """A verdict on every row, in order."""
        ...


STEPS: Point[Step] = Point("tunery.data.cleaning", "cleaning step", api_version=1)
