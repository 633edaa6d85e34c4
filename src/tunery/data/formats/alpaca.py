"""Alpaca: `{instruction, input, output}`, with an optional `system` and a `history` of earlier exchanges."""

from tunery.data.asked import earlier_turns
from tunery.data.fields import as_object, blank, text_of
from tunery.data.pictures import names_images, refuse_images
from tunery.data.quick import Quick
from tunery.data.rows import Conversation, Message, Row, RowError
from tunery.schemas.check import RowKind

API_VERSION = 1
TITLE = "Alpaca"
HELP = (
    "One instruction with its answer: instruction, input (may be empty), output; optional system and history."
)
ROW_KIND: RowKind = "conversation"
EXAMPLE = '{"instruction": "Translate to French.", "input": "Good morning", "output": "Bonjour"}'

_OTHER_FORMATS = ("chosen", "rejected", "label")


def recognise(record: object) -> str | None:
    """Why the record looks like this format; None when it doesn't."""
    if not isinstance(record, dict) or any(name in record for name in _OTHER_FORMATS) or names_images(record):
        return None
    if "instruction" in record and "output" in record and not isinstance(record["output"], list):
        return "records have the fields instruction and output"
    return None


def read(record: object) -> Row:
    """Translate one record. Raises RowError."""
    fields = as_object(record)
    refuse_images(fields)
    instruction = text_of(fields, "instruction")
    extra = text_of(fields, "input", needed=False)
    output = text_of(fields, "output")
    if blank(instruction) and blank(extra):
        raise RowError(
            "empty_instruction", "Put the question or task into `instruction`.", field="instruction"
        )
    if blank(output):
        raise RowError("empty_answer", "Put the expected answer into `output`.", field="output")
    messages: list[Message] = []
    system = text_of(fields, "system", needed=False)
    if not blank(system):
        messages.append(Message.of("system", system))
    if fields.get("history"):
        messages += [Message.of(role, text) for role, text in earlier_turns(fields["history"])]
    asked = instruction if blank(extra) else extra if blank(instruction) else f"{instruction}\n{extra}"
    messages += (Message.of("user", asked), Message.of("assistant", output))
    return Conversation(tuple(messages))


QUICK = Quick(
    {
        "instruction": "ask", "input": "more", "output": "answer", "system": "system", "history": "empty",
        "image": "empty", "image_path": "empty", "images": "empty",
    }
)  # fmt: skip
