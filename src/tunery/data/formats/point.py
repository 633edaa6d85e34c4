"""The extension point of data formats."""

from typing import Protocol

from tunery.core.extensions import Point
from tunery.data.quick import Quick
from tunery.data.rows import Row
from tunery.schemas.check import RowKind


class Format(Protocol):
    """What a module in this folder offers."""

    API_VERSION: int
    TITLE: str
    HELP: str
    ROW_KIND: RowKind
    EXAMPLE: str
    """One record in this format, as JSON."""

    def recognise(self, record: object) -> str | None:
        """Why the record looks like this format; None when it doesn't."""
        ...

    def read(self, record: object) -> Row:
        """Translate one record. Raises RowError."""
        ...


def quick_of(format: Format) -> Quick | None:
    """How plain rows of a format are read faster; a format may offer it as `QUICK`, and is complete without."""
    return getattr(format, "QUICK", None)


def holds_images(format: Format) -> bool:
    """Whether every row of a format holds images; such a format says so as `IMAGES`."""
    return getattr(format, "IMAGES", False)


def most_rows(format: Format) -> int | None:
    """So many rows at most are kept of a file, drawn at random; a format that has a limit says it as `MOST_ROWS`."""
    return getattr(format, "MOST_ROWS", None)


FORMATS: Point[Format] = Point("tunery.data.formats", "data format", api_version=1)
