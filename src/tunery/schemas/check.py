"""What a check of a file is told about it, and what it reports."""

from typing import Literal

from tunery.schemas.base import Schema

RowKind = Literal["conversation", "preference", "labelled", "text", "captioned"]
"""What a row is once read, whatever the file looked like."""


class RowProblem(Schema):
    """Why one row of a file can't be used, and how to fix it."""

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


TurnName = Literal["role", "content", "user", "assistant", "system", "tool", "call"]


class FileOptions(Schema):
    """What a user tells about a file, where Tunery should not detect it."""

    format: str | None = None
    """The file's format; none = detected from its content."""
    columns: dict[str, str] = {}
    """Which column of the file is read as which field of the format: `{"instruction": "question"}`."""
    turns: dict[TurnName, str] = {}
    """How the file names its turns: the keys of role and content, and the names of the roles."""
    only_named: bool = False
    """Read only the columns that are listed in `columns`."""
    salvage: bool = False
    """Keep the complete rows of a JSON list that is cut off; the cut counts as one bad row."""
    member: str | None = None
    """Read only this file of a ZIP."""


class Drawn(Schema):
    """A random sample of the accepted rows, where a format limits how many are kept."""

    rows: int
    """Rows kept; each row has the same chance."""
    seed: int


class CheckReport(Schema):
    """The outcome of reading a file: rows_read = rows_accepted + rows_rejected, always."""

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
    fields: list[str] = []
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
