"""Prompt, image and response: one question about one image, with its answer; an optional `system`."""

from tunery.data.fields import as_object, blank, text_of
from tunery.data.pictures import names_images, one_image, place_images
from tunery.data.rows import Conversation, Message, Row, RowError
from tunery.data.spelling import system_of
from tunery.data.turns import conversation
from tunery.schemas.check import RowKind

API_VERSION = 1
TITLE = "Prompt, image and response"
HELP = "One question about one image: prompt, image and response (or completion), in a ZIP with the images."
ROW_KIND: RowKind = "conversation"
IMAGES = True
EXAMPLE = '{"prompt": "What is this?", "image": "images/pond.jpg", "response": "A pond."}'

_IMAGES = ("image", "image_path", "images")
_ANSWERS = ("response", "completion")


def recognise(record: object) -> str | None:
    """Why the record looks like this format; None when it doesn't."""
    if not isinstance(record, dict) or "label" in record:
        return None
    image = names_images(record)
    answer = next((name for name in _ANSWERS if isinstance(record.get(name), str)), None)
    if image and answer and isinstance(record.get("prompt"), str):
        return f"records have the fields prompt, {image} and {answer}"
    return None


def read(record: object) -> Row:
    """Translate one record. Raises RowError."""
    fields = as_object(record)
    prompt = text_of(fields, "prompt")
    image = one_image(fields, _IMAGES)
    name = next((name for name in _ANSWERS if name in fields), _ANSWERS[0])
    answer = text_of(fields, name)
    if blank(prompt):
        raise RowError("empty_turn", "Put the question into `prompt`.", field="prompt")
    if blank(answer):
        raise RowError("empty_answer", f"Put the expected answer into `{name}`.", field=name)
    talk = conversation([*system_of(fields), ("user", prompt), ("assistant", answer)], "prompt")
    messages: tuple[Message, ...] = place_images(talk.messages, [image], "prompt")
    return Conversation(messages)
