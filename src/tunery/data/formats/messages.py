"""OpenAI messages: `{messages: [{role, content}]}`, with optional `tools`."""

from typing import Any

import msgspec

from tunery.data.fields import as_object, text_of
from tunery.data.quick import Quick, marks
from tunery.data.rows import Role, Row, RowError
from tunery.data.turns import conversation
from tunery.schemas.dataset import RowKind

API_VERSION = 1
TITLE = "Messages"
HELP = "Conversations as OpenAI spells them: a list of messages, each with role and content; optional tools."
ROW_KIND: RowKind = "conversation"
EXAMPLE = '{"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello!"}]}'

ROLES: dict[str, Role] = {
    "user": "user", "assistant": "assistant", "system": "system", "developer": "system",
    "tool": "tool", "function": "tool", "human": "user", "model": "assistant",
}  # fmt: skip
_OTHER_FORMATS = ("chosen", "rejected", "label", "image", "image_path", "images")


def recognise(record: object) -> str | None:
    """Why the record looks like this format; None when it doesn't."""
    if not isinstance(record, dict) or any(name in record for name in _OTHER_FORMATS):
        return None
    turns = record.get("messages")
    if isinstance(turns, list) and turns and isinstance(turns[0], dict) and "role" in turns[0]:
        return "records have a list messages of turns with role and content"
    return None


def read(record: object) -> Row:
    """Translate one record. Raises RowError."""
    fields = as_object(record)
    listed = fields.get("messages")
    if not isinstance(listed, list):
        rule = "not_a_list" if "messages" in fields else "field_missing"
        raise RowError(rule, "Give the turns as a list in `messages`.", field="messages", found=listed)
    turns = [_read_turn(turn, number) for number, turn in enumerate(listed)]
    return conversation(turns, "messages", fields.get("tools"))


class _Turn(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    role: str
    content: str


def _plain(record: Any) -> tuple[Row, int]:
    turns: list[tuple[Role, str]] = [(ROLES[turn.role], turn.content) for turn in record.messages]
    return conversation(turns, "messages"), 2 + 8 * len(turns) + marks(record.tools)


QUICK = Quick(needed={"messages": list[_Turn]}, optional={"tools": None}, build=_plain)


def _read_turn(turn: object, number: int) -> tuple[Role, str]:
    if type(turn) is dict and len(turn) == 2:
        role, content = turn.get("role"), turn.get("content")
        if type(role) is str and type(content) is str and role in ROLES:
            return ROLES[role], content
    return _read_turn_closely(turn, f"messages[{number}]")


def _read_turn_closely(turn: object, field: str) -> tuple[Role, str]:
    """One message with every check, where it isn't just role and content. Raises RowError."""
    if not isinstance(turn, dict):
        raise RowError("turn_not_an_object", "Write each turn as {role, content}.", field=field, found=turn)
    spelled = text_of(turn, "role", field=f"{field}.role")
    role = ROLES.get(spelled.strip().lower())
    if role is None:
        raise RowError(
            "unknown_role", f"Use one of: {', '.join(ROLES)}.", field=f"{field}.role", found=spelled
        )
    if turn.get("tool_calls") or turn.get("function_call"):
        fix = "Tool calls can't be learnt from; leave such rows out, or write the answer as text."
        raise RowError("tool_call", fix, field=f"{field}.tool_calls", found=turn.get("tool_calls"))
    if turn.get("weight") not in (None, 1, True):
        fix = (
            "Every answer is learnt from; remove `weight`, or cut the conversation after the answer to learn."
        )
        raise RowError("weight", fix, field=f"{field}.weight", found=turn["weight"])
    return role, _content(turn, f"{field}.content")


def _content(turn: dict[str, Any], field: str) -> str:
    content = turn.get("content")
    if content is None and "content" in turn:
        return ""
    if not isinstance(content, list):
        return text_of(turn, "content", field=field)
    texts: list[str] = []
    for number, part in enumerate(content):
        where = f"{field}[{number}]"
        if not isinstance(part, dict) or part.get("type") != "text":
            fix = "Only text can be read here; leave rows with other content out."
            raise RowError("content_not_text", fix, field=where, found=part)
        texts.append(text_of(part, "text", field=f"{where}.text"))
    return "".join(texts)
