"""What is asked in a record, whichever way it is written: the part that preferences and labelled answers share."""

from typing import Any, NamedTuple

from tunery.data.fields import blank, text_of
from tunery.data.quick import Slot
from tunery.data.rows import Role, RowError
from tunery.data.spelling import system_of, turn_of, turns_of, with_system
from tunery.data.turns import Turn

LISTS = ("conversations", "messages")


QUICK_ASKED: dict[str, Slot] = {
    "conversations": "turns", "messages": "turns", "prompt": "prompt", "instruction": "ask", "input": "more",
    "history": "empty",
}  # fmt: skip
"""The short way to what is asked."""


class Asked(NamedTuple):
    """The turns of a record up to its question, the field they came from, and how many didn't come from it."""

    turns: list[Turn]
    name: str
    ahead: int


def asked_in(fields: dict[str, Any]) -> Asked:
    """A list of turns, a prompt, or an instruction. A prompt may itself be a list of turns. Raises RowError."""
    name = next((name for name in (*LISTS, "prompt", "instruction") if name in fields), None)
    if name is None:
        fix = "Add the question as `conversations`, `messages`, `prompt` or `instruction`."
        raise RowError("field_missing", fix, field="prompt", found=sorted(fields)[:20])
    if name in LISTS or isinstance(fields[name], list):
        turns, ahead = with_system(fields, turns_of(fields[name], name))
        return Asked(turns, name, ahead)
    text = text_of(fields, name)
    extra = text_of(fields, "input", needed=False) if name == "instruction" else ""
    if blank(text) and blank(extra):
        raise RowError("empty_turn", f"Put the question into `{name}`.", field=name)
    asked = text if blank(extra) else extra if blank(text) else f"{text}\n{extra}"
    before = [*system_of(fields), *earlier_turns(fields.get("history"))]
    return Asked([*before, ("user", asked)], name, len(before))


def earlier_turns(history: object) -> list[tuple[Role, str]]:
    """Exchanges before the question, as `[[question, answer], …]`; none where there is nothing. Raises RowError."""
    if not history:
        return []
    fix = "Give `history` as a list of pairs: [[question, answer], …]."
    if not isinstance(history, list):
        raise RowError("history_not_pairs", fix, field="history", found=history)
    turns: list[tuple[Role, str]] = []
    for number, pair in enumerate(history):
        field = f"history[{number}]"
        if not (isinstance(pair, list) and len(pair) == 2 and all(isinstance(text, str) for text in pair)):
            raise RowError("history_not_pairs", fix, field=field, found=pair)
        if blank(pair[0]) or blank(pair[1]):
            raise RowError("empty_turn", "Fill in or remove this exchange.", field=field, found=pair)
        turns.append(("user", pair[0]))
        turns.append(("assistant", pair[1]))
    return turns


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
    if role != "assistant" or not isinstance(text, str):
        raise RowError("not_an_answer", f"Make `{field}` an assistant turn.", field=field, found=role)
    return text
