"""What messages say, and a row with its words changed, everything else as it was."""

from collections.abc import Callable, Sequence
from typing import TypeVar

import msgspec

from tunery.data.rows import Captioned, Message, Preference, Row, Text, TextPart

R = TypeVar("R", bound=Row)


def spoken(messages: Sequence[Message]) -> str:
    """A talk as one text for people; who speaks is said where there are several turns."""
    if len(messages) == 1:
        return messages[0].text
    return "\n".join(f"{message.role}: {message.text}" for message in messages)


def with_text(row: R, change: Callable[[str], str]) -> R:
    """The row with `change` made to every text in it; the same object where nothing changes."""
    if isinstance(row, Text):
        text = change(row.text)
        return row if text == row.text else msgspec.structs.replace(row, text=text)
    if isinstance(row, Captioned):
        caption = change(row.caption)
        return row if caption == row.caption else msgspec.structs.replace(row, caption=caption)
    changes = {"messages": tuple(_message(message, change) for message in row.messages)}
    if isinstance(row, Preference):
        changes["answers"] = tuple(_message(message, change) for message in row.answers)
    made = msgspec.structs.replace(row, **changes)
    return row if made == row else made


def _message(message: Message, change: Callable[[str], str]) -> Message:
    content = tuple(
        TextPart(change(part.text)) if isinstance(part, TextPart) else part for part in message.content
    )
    return msgspec.structs.replace(message, content=content)
