"""What is asked in a record, whichever way it is written: the part that preferences and labelled answers share.

Turns may be spelled as ShareGPT does (from, value) or as OpenAI does (role, content).
"""

from typing import Any

from tunery.data.fields import blank, text_of
from tunery.data.rows import Role, RowError

Turn = tuple[Role, str]
LISTS = ("conversations", "messages")
_ROLES: dict[str, Role] = {
    "user": "user", "human": "user",
    "assistant": "assistant", "gpt": "assistant", "chatgpt": "assistant", "bot": "assistant", "model": "assistant",
    "system": "system", "developer": "system",
    "tool": "tool", "observation": "tool", "function": "tool",
}  # fmt: skip
_FIX = "Write each turn as {from, value} or {role, content}."


def turns_of(listed: object, field: str) -> list[Turn]:
    """A list of turns. Raises RowError."""
    if not isinstance(listed, list):
        raise RowError("not_a_list", f"Give the turns as a list in `{field}`.", field=field, found=listed)
    return [turn_of(turn, f"{field}[{number}]") for number, turn in enumerate(listed)]


def turn_of(turn: object, field: str) -> Turn:
    """One turn. Raises RowError."""
    if not isinstance(turn, dict):
        raise RowError("turn_not_an_object", _FIX, field=field, found=turn)
    who, what = ("from", "value") if "from" in turn else ("role", "content")
    spelled = text_of(turn, who, field=f"{field}.{who}")
    role = _ROLES.get(spelled.strip().lower())
    if role is None:
        fix = f"Use one of: {', '.join(_ROLES)}."
        raise RowError("unknown_role", fix, field=f"{field}.{who}", found=spelled)
    if turn.get("tool_calls") or turn.get("function_call"):
        fix = "Tool calls can't be learnt from; leave such rows out, or write the answer as text."
        raise RowError("tool_call", fix, field=f"{field}.tool_calls", found=turn.get("tool_calls"))
    return role, text_of(turn, what, field=f"{field}.{what}")


def asked_in(fields: dict[str, Any]) -> tuple[list[Turn], str]:
    """The turns of a record, and the field they came from: a list of turns, a prompt, or an instruction.

    A prompt may itself be a list of turns. Raises RowError.
    """
    name = next((name for name in (*LISTS, "prompt", "instruction") if name in fields), None)
    if name is None:
        fix = "Add the question as `conversations`, `messages`, `prompt` or `instruction`."
        raise RowError("field_missing", fix, field="prompt", found=sorted(fields)[:20])
    turns: list[Turn] = []
    if not blank(system := text_of(fields, "system", needed=False)):
        turns.append(("system", system))
    if name in LISTS or isinstance(fields[name], list):
        listed = turns_of(fields[name], name)
        if turns and listed and listed[0][0] == "system":
            raise RowError("two_systems", "Keep `system` or the system turn, not both.", field="system")
        return turns + listed, name
    text = text_of(fields, name)
    extra = text_of(fields, "input", needed=False) if name == "instruction" else ""
    if blank(text) and blank(extra):
        raise RowError("empty_turn", f"Say in `{name}` what is asked.", field=name)
    asked = text if blank(extra) else extra if blank(text) else f"{text}\n{extra}"
    return [*turns, ("user", asked)], name


def answer_of(answer: object, field: str) -> str:
    """An answer: text, an assistant turn, or a list of one. Raises RowError."""
    if isinstance(answer, list) and len(answer) == 1:
        answer = answer[0]
    if isinstance(answer, str):
        return answer
    if not isinstance(answer, dict):
        fix = f"Give `{field}` as text, or as one assistant turn."
        raise RowError("not_an_answer", fix, field=field, found=answer)
    role, text = turn_of(answer, field)
    if role != "assistant":
        raise RowError(
            "not_an_answer", f"Let the assistant say what is in `{field}`.", field=field, found=role
        )
    return text
