"""Preferences: a question with a better and a worse answer, or with answers ranked from the best to the worst."""

from typing import Any

from tunery.data.asked import LISTS, QUICK_ASKED, Asked, answer_of, asked_in
from tunery.data.fields import as_object
from tunery.data.pictures import images_in, place_images
from tunery.data.rows import Preference, Row, RowError
from tunery.data.spelling import OPENAI, SHAREGPT, quick_turns, turns_of
from tunery.data.turns import conversation
from tunery.schemas.check import RowKind

API_VERSION = 1
TITLE = "Preference"
HELP = (
    "A question with a chosen and a rejected answer: conversations, messages, prompt or instruction, then chosen and "
    "rejected as text or turns; or a list answers, best first. The question may hold images."
)
ROW_KIND: RowKind = "preference"
EXAMPLE = '{"prompt": "Say hello in French.", "chosen": "Bonjour !", "rejected": "Hello!"}'

_RANKED = ("answers", "responses", "output")
_PAIR = ("chosen", "rejected")


def recognise(record: object) -> str | None:
    """Why the record looks like this format; None when it doesn't."""
    if not isinstance(record, dict):
        return None
    if all(record.get(name) for name in _PAIR):
        return "records have the fields chosen and rejected"
    asks = any(name in record for name in (*LISTS, "prompt", "instruction"))
    ranked = next((name for name in _RANKED if isinstance(record.get(name), list)), None)
    return f"records have a `{ranked}` list of answers to one question" if asks and ranked else None


def read(record: object) -> Row:
    """Translate one record. Raises RowError."""
    fields = as_object(record)
    ranked = next((name for name in _RANKED if isinstance(fields.get(name), list)), None)
    if ranked is None and _is_two_talks(fields):
        asked, answers = _two_talks(fields)
    else:
        answers = _answers(fields, ranked)
        asked = asked_in(fields)
    if len(set(answers)) < len(answers):
        fix = "Two answers are the same; leave the row out, or keep one of them."
        raise RowError("same_answers", fix, field=ranked or "rejected")
    tools = fields.get("tools")
    talks = [
        conversation([*asked.turns, ("assistant", answer)], asked.name, tools, ahead=asked.ahead)
        for answer in answers
    ]
    messages = place_images(talks[0].messages[:-1], images_in(fields), asked.name)
    return Preference(messages, tuple(talk.messages[-1] for talk in talks), talks[0].tools)


def _answers(fields: dict[str, Any], ranked: str | None) -> list[str]:
    """Best first."""
    if ranked is None:
        for name in _PAIR:
            if fields.get(name) is None:
                raise RowError(
                    "field_missing", f"Add the field `{name}`.", field=name, found=sorted(fields)[:20]
                )
        return [_not_empty(answer_of(fields[name], name), name) for name in _PAIR]
    listed = fields[ranked]
    if len(listed) < 2:
        fix = "Give at least two answers, the best first."
        raise RowError("too_few_answers", fix, field=ranked, found=listed)
    return [
        _not_empty(answer_of(one, f"{ranked}[{number}]"), f"{ranked}[{number}]")
        for number, one in enumerate(listed)
    ]


def _not_empty(answer: str, field: str) -> str:
    if not answer or answer.isspace():
        raise RowError("empty_answer", f"Write the answer into `{field}`, or remove the row.", field=field)
    return answer


def _is_two_talks(fields: dict[str, Any]) -> bool:
    """Chosen and rejected are whole conversations that repeat the question."""
    both = [fields.get(name) for name in _PAIR]
    return all(isinstance(talk, list) and len(talk) > 1 for talk in both)


def _two_talks(fields: dict[str, Any]) -> tuple[Asked, list[str]]:
    chosen, rejected = (turns_of(fields[name], name) for name in _PAIR)
    if chosen[:-1] != rejected[:-1]:
        fix = "Make `chosen` and `rejected` identical up to the last answer."
        raise RowError("different_questions", fix, field="rejected")
    answers: list[str] = []
    for name, talk in zip(_PAIR, (chosen, rejected), strict=True):
        role, answer = talk[-1]
        if role != "assistant" or not isinstance(answer, str):
            fix = "End both with the assistant's answer."
            raise RowError("no_answer_at_end", fix, field=name, found=role)
        answers.append(_not_empty(answer, name))
    return Asked(chosen[:-1], "chosen", 0), answers


QUICK = quick_turns(
    {**QUICK_ASKED, **dict.fromkeys(_RANKED, "never"), "chosen": "chosen", "rejected": "rejected"},
    SHAREGPT,
    OPENAI,
)
