"""Markdown from values: tables and cells. Knows nothing of what they mean."""

from collections.abc import Iterable, Sequence
from typing import Any

import orjson


def table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A table; columns that are empty in every row are left out."""
    cells = [[cell(value) for value in row] for row in rows]
    kept = [i for i in range(len(columns)) if any(row[i] for row in cells)] or list(range(len(columns)))
    lines = ["| " + " | ".join(columns[i] for i in kept) + " |", "|" + "---|" * len(kept)]
    lines += ["| " + " | ".join(row[i] for i in kept) + " |" for row in cells]
    return "\n".join(lines) + "\n"


def cell(value: object) -> str:
    """Text for a table's cell: one line, no bar that would end it."""
    return "" if value is None else " ".join(str(value).split()).replace("|", "\\|").replace("<", "&lt;")


def code(value: object) -> str:
    """As code."""
    return f"`{value}`"


def as_json(value: Any) -> str:
    """A value as code, in JSON."""
    return code(orjson.dumps(value, option=orjson.OPT_SORT_KEYS).decode())


def section(title: str, *parts: str) -> str:
    """A heading with paragraphs under it."""
    return "\n\n".join([f"## {title}", *(part.strip() for part in parts if part.strip())])


def page(title: str, lead: str, *sections: str) -> str:
    """A whole page."""
    return "\n\n".join([f"# {title}", lead, *(part.strip() for part in sections if part.strip())]) + "\n"
