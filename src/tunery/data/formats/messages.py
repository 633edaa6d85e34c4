"""OpenAI messages: `{messages: [{role, content}]}`, content as text or typed parts; optional `tools`, `images`."""

from tunery.data.fields import as_object
from tunery.data.rows import Row
from tunery.data.spelling import OPENAI, quick_turns, talk_in
from tunery.schemas.check import RowKind

API_VERSION = 1
TITLE = "Messages"
HELP = (
    "Conversations in OpenAI's format: a list of messages, each with role and content, which is text or typed "
    "parts; optional tools, system, images."
)
ROW_KIND: RowKind = "conversation"
EXAMPLE = '{"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello!"}]}'

_OTHER_FORMATS = ("chosen", "rejected", "label")


def recognise(record: object) -> str | None:
    """Why the record looks like this format; None when it doesn't."""
    if not isinstance(record, dict) or any(name in record for name in _OTHER_FORMATS):
        return None
    turns = record.get("messages")
    if isinstance(turns, list) and turns and isinstance(turns[0], dict) and "role" in turns[0]:
        return "records have a `messages` list of turns with role and content"
    return None


def read(record: object) -> Row:
    """Translate one record. Raises RowError."""
    return talk_in(as_object(record), "messages")


QUICK = quick_turns({"messages": "turns"}, OPENAI)
