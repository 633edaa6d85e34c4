"""ShareGPT: `{conversations: [{from, value}]}`, with an optional `system` and `tools`."""

from typing import Any

import msgspec

from tunery.data.fields import as_object, blank, text_of
from tunery.data.quick import Quick, marks
from tunery.data.rows import Role, Row, RowError
from tunery.data.turns import conversation
from tunery.schemas.dataset import RowKind

API_VERSION = 1
TITLE = "ShareGPT"
HELP = "Conversations of any length: a list of turns, each with from and value; optional system and tools."
ROW_KIND: RowKind = "conversation"
EXAMPLE = '{"conversations": [{"from": "human", "value": "Hi"}, {"from": "gpt", "value": "Hello!"}]}'

ROLES: dict[str, Role] = {
    "human": "user", "user": "user",
    "gpt": "assistant", "assistant": "assistant", "chatgpt": "assistant", "bing": "assistant",
    "bard": "assistant", "claude": "assistant", "gemini": "assistant", "model": "assistant", "bot": "assistant",
    "system": "system",
    "tool": "tool", "observation": "tool", "function": "tool", "function_response": "tool",
}  # fmt: skip
_CALLS = frozenset({"function_call", "tool_call"})
_OTHER_FORMATS = ("chosen", "rejected", "label", "image", "image_path", "images")


def recognise(record: object) -> str | None:
    """Why the record looks like this format; None when it doesn't."""
    if not isinstance(record, dict) or any(name in record for name in _OTHER_FORMATS):
        return None
    turns = record.get("conversations")
    if isinstance(turns, list) and turns and isinstance(turns[0], dict) and "from" in turns[0]:
        return "records have a list conversations of turns with from and value"
    return None


def read(record: object) -> Row:
    """Translate one record. Raises RowError."""
    fields = as_object(record)
    listed = fields.get("conversations")
    if not isinstance(listed, list):
        rule = "not_a_list" if "conversations" in fields else "field_missing"
        raise RowError(
            rule, "Give the turns as a list in `conversations`.", field="conversations", found=listed
        )
    turns: list[tuple[Role, str]] = []
    if "system" in fields:
        system = text_of(fields, "system", needed=False)
        if not blank(system):
            turns.append(("system", system))
    if turns and listed and _read_turn(listed[0], 0)[0] == "system":
        raise RowError("two_systems", "Keep `system` or the system turn, not both.", field="system")
    turns += [_read_turn(turn, number) for number, turn in enumerate(listed)]
    return conversation(turns, "conversations", fields.get("tools"))


class _Turn(msgspec.Struct, forbid_unknown_fields=True, gc=False, rename={"role": "from"}):
    role: str
    value: str


def _plain(record: Any) -> tuple[Row, int]:
    turns: list[tuple[Role, str]] = [(ROLES[turn.role], turn.value) for turn in record.conversations]
    own = 2 + 8 * len(turns) + marks(record.system, record.tools)
    if type(record.system) is str and not blank(record.system):
        turns.insert(0, ("system", record.system))
    return conversation(turns, "conversations"), own


QUICK = Quick(
    needed={"conversations": list[_Turn]}, optional={"system": str | None, "tools": None}, build=_plain
)


def _read_turn(turn: object, number: int) -> tuple[Role, str]:
    if type(turn) is dict:
        spelled, value = turn.get("from"), turn.get("value")
        if type(spelled) is str and type(value) is str and spelled in ROLES:
            return ROLES[spelled], value
    return _read_turn_closely(turn, f"conversations[{number}]")


def _read_turn_closely(turn: object, field: str) -> tuple[Role, str]:
    """One turn with every check, where the short way failed. Raises RowError."""
    if not isinstance(turn, dict):
        raise RowError("turn_not_an_object", "Write each turn as {from, value}.", field=field, found=turn)
    spelled = text_of(turn, "from", field=f"{field}.from")
    role = ROLES.get(spelled.strip().lower())
    if spelled in _CALLS:
        fix = "Tool calls can't be learnt from; leave such rows out, or write the answer as text."
        raise RowError("tool_call", fix, field=f"{field}.from", found=spelled)
    if role is None:
        fix = f"Use one of: {', '.join(ROLES)}."
        raise RowError("unknown_role", fix, field=f"{field}.from", found=spelled)
    return role, text_of(turn, "value", field=f"{field}.value")
