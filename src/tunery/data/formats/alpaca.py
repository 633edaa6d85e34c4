"""Alpaca: `{instruction, input, output}`, with an optional `system` and a `history` of earlier exchanges."""

from typing import Annotated, Any, Optional

import msgspec

from tunery.data.fields import as_object, blank, text_of
from tunery.data.quick import Quick, marks
from tunery.data.rows import Conversation, Message, Row, RowError
from tunery.schemas.dataset import RowKind

API_VERSION = 1
TITLE = "Alpaca"
HELP = (
    "One instruction with its answer: instruction, input (may be empty), output; optional system and history."
)
ROW_KIND: RowKind = "conversation"
EXAMPLE = '{"instruction": "Translate to French.", "input": "Good morning", "output": "Bonjour"}'

_OTHER_FORMATS = ("chosen", "rejected", "label", "image", "image_path", "images")


def recognise(record: object) -> str | None:
    """Why the record looks like this format; None when it doesn't."""
    if not isinstance(record, dict) or any(name in record for name in _OTHER_FORMATS):
        return None
    if "instruction" in record and "output" in record and not isinstance(record["output"], list):
        return "records have the fields instruction and output"
    return None


def read(record: object) -> Row:
    """Translate one record. Raises RowError."""
    fields = as_object(record)
    instruction = text_of(fields, "instruction")
    extra = text_of(fields, "input", needed=False)
    output = text_of(fields, "output")
    if blank(instruction) and blank(extra):
        raise RowError("empty_instruction", "Say in `instruction` what is asked.", field="instruction")
    if blank(output):
        raise RowError("empty_answer", "Write the answer to learn into `output`.", field="output")
    messages: list[Message] = []
    system = text_of(fields, "system", needed=False)
    if not blank(system):
        messages.append(Message.of("system", system))
    if fields.get("history"):
        messages += _history(fields["history"])
    asked = instruction if blank(extra) else extra if blank(instruction) else f"{instruction}\n{extra}"
    messages += (Message.of("user", asked), Message.of("assistant", output))
    return Conversation(tuple(messages))


def _plain(record: Any) -> tuple[Row, int]:
    optional = {"input": record.input, "system": record.system}
    given = {name: value for name, value in optional.items() if value is not msgspec.UNSET}
    row = read({"instruction": record.instruction, "output": record.output, **given})
    return row, 8 + marks(record.input, record.system, record.history)


QUICK = Quick(
    needed={"instruction": str, "output": str},
    optional={
        "input": str | None,
        "system": str | None,
        "history": Optional[Annotated[list[str], msgspec.Meta(max_length=0)]],  # noqa: UP045
    },
    build=_plain,
)


def _history(history: object) -> list[Message]:
    fix = "Give `history` as a list of pairs: [[question, answer], …]."
    if not isinstance(history, list):
        raise RowError("history_not_pairs", fix, field="history", found=history)
    messages: list[Message] = []
    for number, pair in enumerate(history):
        field = f"history[{number}]"
        if not (isinstance(pair, list) and len(pair) == 2 and all(isinstance(text, str) for text in pair)):
            raise RowError("history_not_pairs", fix, field=field, found=pair)
        if blank(pair[0]) or blank(pair[1]):
            raise RowError("empty_turn", "Fill in or remove this exchange.", field=field, found=pair)
        messages += (Message.of("user", pair[0]), Message.of("assistant", pair[1]))
    return messages
