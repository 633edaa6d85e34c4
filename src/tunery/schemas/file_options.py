"""What a check of a file is told about it."""

from typing import Literal

from tunery.schemas.base import Schema

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
