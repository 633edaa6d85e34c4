"""KTO: a conversation, and whether its last answer is wanted: `{messages, label}`."""

from typing import Any

from tunery.data.asked import LISTS, QUICK_ASKED, asked_in
from tunery.data.fields import as_object, text_of
from tunery.data.pictures import images_in, place_images
from tunery.data.rows import Labelled, Row, RowError
from tunery.data.spelling import OPENAI, SHAREGPT, quick_turns
from tunery.data.turns import conversation
from tunery.schemas.check import RowKind

API_VERSION = 1
TITLE = "KTO"
HELP = (
    "A conversation with a thumbs up or down: conversations or messages that end with an answer, or a prompt with a "
    "completion; and label, which is true if the answer is good."
)
ROW_KIND: RowKind = "labelled"
EXAMPLE = '{"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello!"}], "label": true}'

_ANSWERS = ("completion", "response", "output")


def recognise(record: object) -> str | None:
    """Why the record looks like this format; None when it doesn't."""
    if not isinstance(record, dict) or not isinstance(record.get("label"), bool):
        return None
    if any(isinstance(record.get(name), list) for name in LISTS):
        return "records have a conversation and a label that is true or false"
    if any(name in record for name in ("prompt", "instruction")) and any(name in record for name in _ANSWERS):
        return "records have a prompt, an answer and a label that is true or false"
    return None


def read(record: object) -> Row:
    """Translate one record. Raises RowError."""
    fields = as_object(record)
    label = _label(fields)
    turns, name, ahead = asked_in(fields)
    if name not in LISTS:
        answer = next((answer for answer in _ANSWERS if answer in fields), "completion")
        turns.append(("assistant", text_of(fields, answer)))
    talk = conversation(turns, name, fields.get("tools"), ahead=ahead)
    return Labelled(place_images(talk.messages, images_in(fields), name), label, talk.tools)


def _label(fields: dict[str, Any]) -> bool:
    label = fields.get("label")
    if isinstance(label, bool):
        return label
    if label is None:
        raise RowError(
            "field_missing", "Add `label`: true or false.", field="label", found=sorted(fields)[:20]
        )
    raise RowError("not_a_truth_value", "Write `label` as true or false.", field="label", found=label)


QUICK = quick_turns({**QUICK_ASKED, **dict.fromkeys(_ANSWERS, "answer"), "label": "label"}, SHAREGPT, OPENAI)
