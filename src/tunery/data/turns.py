"""What makes a list of turns a conversation that can be learnt from, whatever its roles were spelled like."""

from collections.abc import Mapping, Sequence

import orjson

from tunery.data.fields import blank
from tunery.data.rows import Conversation, Message, Part, Role, RowError, TextPart

Turn = tuple[Role, str | tuple[Part, ...]]
"""Who speaks, and what: text, or typed parts."""
FIRST = frozenset({"system", "user"})
FOLLOWS: Mapping[Role, frozenset[str]] = {
    "system": frozenset({"user"}),
    "user": frozenset({"assistant"}),
    "assistant": frozenset({"user", "tool"}),
    "tool": frozenset({"assistant", "tool"}),
}


def conversation(turns: Sequence[Turn], field: str, tools: object = None, *, ahead: int = 0) -> Conversation:
    """Check order and content of the turns. `field` names the list they came from, but for the first `ahead`.

    Raises RowError.
    """
    before: Role | None = None
    follows = FIRST
    messages: list[Message] = []
    for role, content in turns:
        if role not in follows:
            raise _out_of_order(before, role, f"{field}[{len(messages) - ahead}]")
        if isinstance(content, str):
            if not content or content.isspace():
                raise _empty(role, f"{field}[{len(messages) - ahead}]")
            messages.append(Message(role, (TextPart(content),)))
        else:
            messages.append(Message(role, content))
        before = role
        follows = FOLLOWS[role]
    if before != "assistant":
        raise RowError(
            "no_answer_at_end",
            "End the conversation with the assistant's answer, or remove what follows its last one.",
            field=f"{field}[{len(turns) - 1 - ahead}]" if len(turns) > ahead else field,
            found=before or "no turns",
        )
    return Conversation(tuple(messages), tools_text(tools) if tools else "")


def tools_text(tools: object) -> str:
    """A row's tool definitions as one JSON text; they may come as a list or as text. Raises RowError."""
    if not tools:
        return ""
    value = tools
    if isinstance(tools, str):
        if blank(tools):
            return ""
        try:
            value = orjson.loads(tools)
        except orjson.JSONDecodeError:
            value = None
    if value == []:
        return ""
    if not isinstance(value, list) or not all(isinstance(tool, dict) for tool in value):
        raise RowError(
            "tools_not_a_list", "Give `tools` as a JSON list of objects.", field="tools", found=tools
        )
    return orjson.dumps(value).decode()


def _out_of_order(before: Role | None, role: Role, field: str) -> RowError:
    if role == "system":
        return RowError(
            "system_not_first", "Put the system turn first, and have only one.", field=field, found=role
        )
    if before is None or before == "system":
        return RowError(
            "user_not_first", "Begin with a user turn (after the system turn).", field=field, found=role
        )
    if before == role:
        fix = f"Merge the two consecutive {role} turns, or add the missing turn between them."
        return RowError("turns_do_not_alternate", fix, field=field, found=role)
    fix = f"A {before} turn must be followed by {' or '.join(sorted(FOLLOWS[before]))}, not {role}."
    return RowError("turns_do_not_alternate", fix, field=field, found=role)


def _empty(role: Role, field: str) -> RowError:
    if role == "assistant":
        return RowError("empty_answer", "Write the answer, or remove the row.", field=field)
    return RowError("empty_turn", f"Fill in the {role} turn, or remove it.", field=field)
