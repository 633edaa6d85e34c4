"""Reading fields of a record, with the refusals every format shares."""

from typing import Any

from tunery.data.rows import RowError


def as_object(record: object) -> dict[str, Any]:
    """The record as named fields. Raises RowError `not_an_object`."""
    if not isinstance(record, dict):
        raise RowError("not_an_object", "Make every row a JSON object with named fields.", found=record)
    return record


def text_of(fields: dict[str, Any], name: str, *, needed: bool = True, field: str | None = None) -> str:
    """The text in field `name`; empty when it is absent or null and not `needed`.

    Raises RowError `field_missing` or `not_text`. `field` names it in the report where it lies deeper.
    """
    value = fields.get(name)
    if type(value) is str:
        return value
    field = field or name
    if value is not None:
        raise RowError("not_text", f"Put quoted text into `{name}`.", field=field, found=value)
    if not needed:
        return ""
    if name in fields:
        raise RowError("not_text", f"Put text into `{name}`; it is null.", field=field, found=value)
    raise RowError("field_missing", f"Add the field `{name}`.", field=field, found=sorted(fields)[:20])


def blank(text: str) -> bool:
    """Nothing but white space."""
    return not text or text.isspace()
