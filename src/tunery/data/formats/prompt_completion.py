"""Prompt and completion: one question with its answer, as two texts; an optional `system`."""

from tunery.data.fields import as_object, blank, text_of
from tunery.data.pictures import names_images, refuse_images
from tunery.data.quick import Quick
from tunery.data.rows import Conversation, Message, Row, RowError
from tunery.schemas.check import RowKind

API_VERSION = 1
TITLE = "Prompt and completion"
HELP = "One question with its answer: prompt and completion (or response), both text; optional system."
ROW_KIND: RowKind = "conversation"
EXAMPLE = '{"prompt": "What is the capital of Peru?", "completion": "Lima."}'

_ANSWERS = ("completion", "response")
_OTHER_FORMATS = ("chosen", "rejected", "label")


def recognise(record: object) -> str | None:
    """Why the record looks like this format; None when it doesn't."""
    if not isinstance(record, dict) or any(name in record for name in _OTHER_FORMATS) or names_images(record):
        return None
    answer = next((name for name in _ANSWERS if isinstance(record.get(name), str)), None)
    if answer and isinstance(record.get("prompt"), str):
        return f"records have the fields prompt and {answer}"
    return None


def read(record: object) -> Row:
    """Translate one record. Raises RowError."""
    fields = as_object(record)
    refuse_images(fields)
    prompt = text_of(fields, "prompt")
    name = next((name for name in _ANSWERS if name in fields), _ANSWERS[0])
    answer = text_of(fields, name)
    if blank(prompt):
        raise RowError("empty_turn", "Put the question into `prompt`.", field="prompt")
    if blank(answer):
        raise RowError("empty_answer", f"Put the expected answer into `{name}`.", field=name)
    system = text_of(fields, "system", needed=False)
    before = () if blank(system) else (Message.of("system", system),)
    return Conversation((*before, Message.of("user", prompt), Message.of("assistant", answer)))


QUICK = Quick(
    {
        "prompt": "ask", "completion": "answer", "response": "answer", "system": "system",
        "image": "empty", "image_path": "empty", "images": "empty",
    }
)  # fmt: skip
