"""What a check of a file reports. Plain dataclasses: a file is checked before pydantic would be loaded."""

from dataclasses import dataclass
from dataclasses import field as given
from typing import Literal

AS_ALL = {"extra": "forbid", "use_attribute_docstrings": True}
"""Where pydantic meets them, they are schemas as all others."""

RowKind = Literal["conversation", "preference", "labelled", "text", "captioned"]
"""What a row is once read, whatever the file looked like."""


@dataclass
class RowProblem:
    """Why one row of a file can't be used, and how to fix it."""

    __pydantic_config__ = AS_ALL

    file: str
    line: int
    """Line the row starts on, from 1."""
    row: int
    """Number of the row in the file, from 1."""
    offset: int
    """Byte the row starts at."""
    field: str | None
    rule: str
    """Stable name of the rule that was broken."""
    excerpt: str
    """The offending text, shortened."""
    fix: str
    """What to do."""


@dataclass
class Drawn:
    """A random sample of the accepted rows, where a format limits how many are kept."""

    __pydantic_config__ = AS_ALL

    rows: int
    """Rows kept; each row has the same chance."""
    seed: int


@dataclass
class CheckReport:
    """The outcome of reading a file: rows_read = rows_accepted + rows_rejected, always."""

    __pydantic_config__ = AS_ALL

    format: str
    reason: str
    """Why that format."""
    rows_read: int
    rows_accepted: int
    rows_rejected: int
    problems_by_rule: dict[str, int]
    problems: list[RowProblem]
    """The first 100; the rest are in the quarantine file."""
    duplicates: int
    """Accepted rows that repeat an earlier one exactly, told by 64 bits of each. They are kept."""
    bytes: int
    seconds: float
    fixed: int = 0
    """Accepted rows that were read as a user fixed them."""
    fields: list[str] = given(default_factory=list)
    """Columns of the first rows."""
    images: int = 0
    """Images in the accepted rows, each verified to its last pixel."""
    drawn: Drawn | None = None
    """Which of the accepted rows were kept; none = all."""
    content_hash: str | None = None
    """Hash of the kept rows in canonical form; the same rows give the same hash."""
    text_rows: int = 0
    """Accepted rows that are each a whole plain text file."""
    text_characters: int = 0
    """Of those rows."""
