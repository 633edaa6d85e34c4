"""ShareGPT: `{conversations: [{from, value}]}`, with an optional `system` and `tools`."""

from tunery.data.fields import as_object
from tunery.data.pictures import names_images
from tunery.data.rows import Row
from tunery.data.spelling import SHAREGPT, quick_turns, talk_in
from tunery.schemas.check import RowKind

API_VERSION = 1
TITLE = "ShareGPT"
HELP = "Conversations of any length: a list of turns, each with from and value; optional system and tools."
ROW_KIND: RowKind = "conversation"
EXAMPLE = '{"conversations": [{"from": "human", "value": "Hi"}, {"from": "gpt", "value": "Hello!"}]}'

_OTHER_FORMATS = ("chosen", "rejected", "label")


def recognise(record: object) -> str | None:
    """Why the record looks like this format; None when it doesn't."""
    if not isinstance(record, dict) or any(name in record for name in _OTHER_FORMATS) or names_images(record):
        return None
    turns = record.get("conversations")
    if isinstance(turns, list) and turns and isinstance(turns[0], dict) and "from" in turns[0]:
        return "records have a `conversations` list of turns with from and value"
    return None


def read(record: object) -> Row:
    """Translate one record. Raises RowError."""
    return talk_in(as_object(record), "conversations")


QUICK = quick_turns({"conversations": "turns"}, SHAREGPT)
