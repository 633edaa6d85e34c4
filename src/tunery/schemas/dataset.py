"""Dataset, its versions, and the report of every bad row."""

from typing import Any, Literal

from tunery.schemas.base import Microseconds, Schema

RowKind = Literal["conversation", "preference", "labelled", "text"]
"""What a row is once read, whatever the file looked like."""


class RowProblem(Schema):
    """Why one row of a file can't be used, and what would mend it."""

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
    """The offending text, cut."""
    fix: str
    """What to do."""


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
    content_hash: str | None = None
    """Hash of the accepted rows in canonical form; the same rows give the same hash."""


class DatasetVersion(Schema):
    """An immutable (once published) list of rows, addressed by the hash of its content."""

    dataset: str
    version: int
    state: Literal["importing", "draft", "published", "failed"]
    content_hash: str | None
    rows: int
    characters: int
    bytes: int
    format: str
    row_kind: RowKind | None
    report: CheckReport | None
    error: dict[str, Any] | None = None
    created: Microseconds
    published: Microseconds | None


class Dataset(Schema):
    """A named line of versions with one format."""

    id: str
    name: str
    format: str
    created: Microseconds
    latest: DatasetVersion | None
    task: str | None = None
    """The task that imports the newest version, while it goes on."""


class RowPage(Schema):
    """Some rows of a version in canonical form, from `offset`."""

    rows: list[dict[str, Any]]
    offset: int
    total: int
