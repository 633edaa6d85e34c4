"""How turns are spelled: `{from, value}` as ShareGPT does, `{role, content}` as OpenAI does, roles by many names.

Content is text, or a list of typed parts. This module knows one turn at a time; what makes turns a conversation is
`turns.py`, and which field of a record holds them is the format's.
"""

from collections.abc import Mapping
from typing import Any

from tunery.data.fields import blank, text_of
from tunery.data.pictures import FIELDS, images_in, named_in_part, place_images
from tunery.data.quick import Quick, Slot
from tunery.data.rows import Conversation, NamedImage, Part, Role, RowError, TextPart
from tunery.data.turns import Turn, conversation

ROLES: dict[str, Role] = {
    "user": "user", "human": "user",
    "assistant": "assistant", "gpt": "assistant", "chatgpt": "assistant", "bing": "assistant", "bard": "assistant",
    "claude": "assistant", "gemini": "assistant", "model": "assistant", "bot": "assistant",
    "system": "system", "developer": "system",
    "tool": "tool", "observation": "tool", "function": "tool", "function_response": "tool",
}  # fmt: skip
SHAREGPT = ("from", "value")
OPENAI = ("role", "content")
_CALLS = frozenset({"function_call", "tool_call"})


def turns_of(listed: object, field: str) -> list[Turn]:
    """A list of turns. Raises RowError."""
    if not isinstance(listed, list):
        raise RowError("not_a_list", f"Give the turns as a list in `{field}`.", field=field, found=listed)
    return [_turn(turn, field, number) for number, turn in enumerate(listed)]


def with_system(fields: dict[str, Any], turns: list[Turn]) -> tuple[list[Turn], int]:
    """The record's own `system` before its turns, and how many turns it is. Raises RowError."""
    before = system_of(fields)
    if before and turns and turns[0][0] == "system":
        raise RowError("two_systems", "Keep `system` or the system turn, not both.", field="system")
    return before + turns, len(before)


def talk_in(fields: dict[str, Any], name: str) -> Conversation:
    """The conversation in field `name`, with what else a record says of one. Raises RowError."""
    if name not in fields:
        fix = f"Give the turns as a list in `{name}`."
        raise RowError("field_missing", fix, field=name, found=sorted(fields)[:20])
    turns, ahead = with_system(fields, turns_of(fields[name], name))
    talk = conversation(turns, name, fields.get("tools"), ahead=ahead)
    messages = place_images(talk.messages, images_in(fields), name)
    return talk if messages is talk.messages else Conversation(messages, talk.tools)


def system_of(fields: dict[str, Any]) -> list[Turn]:
    """The record's field `system` as a turn, where it says something."""
    if "system" not in fields or blank(system := text_of(fields, "system", needed=False)):
        return []
    return [("system", system)]


def turn_of(turn: object, field: str) -> Turn:
    """One turn with every check. Raises RowError."""
    if not isinstance(turn, dict):
        fix = "Write each turn as {from, value} or {role, content}."
        raise RowError("turn_not_an_object", fix, field=field, found=turn)
    foreign = "role" not in turn and ("from" in turn or field.startswith("conversations"))
    who, what = SHAREGPT if foreign else OPENAI
    spelled = text_of(turn, who, field=f"{field}.{who}")
    _refuse_calls(turn, spelled, field, who)
    role = ROLES.get(spelled.strip().lower())
    if role is None:
        fix = f"Use one of: {', '.join(ROLES)}."
        raise RowError("unknown_role", fix, field=f"{field}.{who}", found=spelled)
    if turn.get("weight") not in (None, 1, True):
        fix = "All answers are trained on; remove `weight`, or end the conversation after the answer to train on."
        raise RowError("weight", fix, field=f"{field}.weight", found=turn["weight"])
    return role, _content(turn, what, role, f"{field}.{what}")


def quick_turns(fields: Mapping[str, Slot], *spellings: tuple[str, str]) -> Quick:
    """The short way of a format whose rows hold turns that are spelled so."""
    # Pictures make a row one for the careful way.
    more: dict[str, Slot] = {"system": "system", "tools": "empty", **dict.fromkeys(FIELDS, "empty")}
    return Quick({**fields, **more}, spellings, ROLES)


def _turn(turn: object, name: str, number: int) -> Turn:
    """One turn, the shortest way that fits it."""
    if type(turn) is dict and len(turn) == 2:
        spelled, content = turn.get("from"), turn.get("value")
        if spelled is None:
            spelled, content = turn.get("role"), turn.get("content")
        if type(spelled) is str and type(content) is str and spelled in ROLES:
            return ROLES[spelled], content
    return turn_of(turn, f"{name}[{number}]")


def _refuse_calls(turn: dict[str, Any], spelled: str, field: str, who: str) -> None:
    found = turn.get("tool_calls") or turn.get("function_call")
    if found or spelled.strip().lower() in _CALLS:
        fix = "Tool calls can't be trained on; leave out such rows, or write the answer as text."
        where = f"{field}.tool_calls" if found else f"{field}.{who}"
        raise RowError("tool_call", fix, field=where, found=found or spelled)


def _content(turn: dict[str, Any], what: str, role: Role, field: str) -> str | tuple[Part, ...]:
    content = turn.get(what)
    if content is None and what == "content" and what in turn:
        return ""
    if not isinstance(content, list):
        return text_of(turn, what, field=field)
    parts = [_part(part, role, f"{field}[{number}]") for number, part in enumerate(content)]
    if any(isinstance(part, NamedImage) for part in parts):
        return tuple(part for part in parts if not (isinstance(part, TextPart) and part.text == ""))
    return "".join(part.text for part in parts if isinstance(part, TextPart))


def _part(part: object, role: Role, field: str) -> Part:
    kind = part.get("type") if isinstance(part, dict) else None
    if isinstance(part, dict) and kind in ("text", "input_text", "output_text"):
        return TextPart(text_of(part, "text", field=f"{field}.text"))
    image = named_in_part(part, field) if isinstance(part, dict) else None
    if image is None:
        fix = "Only text and images are supported; leave out rows with other content."
        raise RowError("content_not_text", fix, field=field, found=part)
    if role != "user":
        raise RowError("image_not_in_question", "Put images into user turns only.", field=field, found=role)
    return image
