"""Corpus: `{text}`, or a plain text file, which is one row."""

from tunery.data.fields import as_object, blank, text_of
from tunery.data.pictures import FIELDS, is_picture
from tunery.data.quick import Quick
from tunery.data.rows import Row, RowError, Text
from tunery.schemas.check import RowKind

API_VERSION = 1
TITLE = "Corpus"
HELP = "Plain text to continue training on: a field text, or .txt files."
ROW_KIND: RowKind = "text"
EXAMPLE = '{"text": "The lighthouse stands on the northern cape."}'


def recognise(record: object) -> str | None:
    """Why the record looks like this format; None when it doesn't."""
    if not isinstance(record, dict) or not isinstance(record.get("text"), str):
        return None
    if any(isinstance(value, list | dict) for value in record.values()) or "label" in record:
        return None
    if any(isinstance(record.get(name), str) and is_picture(record[name]) for name in (*FIELDS, "file_name")):
        return None
    return "records have the field text"


def read(record: object) -> Row:
    """Translate one record. Raises RowError."""
    text = text_of(as_object(record), "text")
    if blank(text):
        raise RowError("empty_text", "Fill in `text`, or remove the row.", field="text")
    return Text(text)


QUICK = Quick({"text": "text"})
