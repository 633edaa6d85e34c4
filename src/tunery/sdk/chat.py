"""One question to a served model over /v1: how it is asked and how the answer, whole or in parts, is read."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from tunery.core.errors import Problem
from tunery.sdk.call import Call

Messages = str | Iterable[Mapping[str, Any]]
"""The user's question, or a list of {role, content}."""


@dataclass(frozen=True)
class ChatAnswer:
    """What a model said."""

    model: str
    content: str
    finish_reason: str | None
    prompt_tokens: int
    completion_tokens: int


def chat_call(
    model: str, messages: Messages, *, stream: bool, options: Mapping[str, Any]
) -> Call[ChatAnswer]:
    """The request, with any other parameter of the endpoint (`temperature`, `max_tokens`, `seed` …) in `options`."""
    turns = (
        [{"role": "user", "content": messages}] if isinstance(messages, str) else [dict(m) for m in messages]
    )
    given = {name: value for name, value in options.items() if value is not None}
    body = {"model": model, "messages": turns, "stream": stream, **given}
    return Call("POST", "/v1/chat/completions", _read_answer, body=body)


def _read_answer(answer: bytes) -> ChatAnswer:
    document = orjson.loads(answer)
    choice = document["choices"][0]
    usage = document.get("usage") or {}
    return ChatAnswer(
        model=document["model"],
        content=choice["message"]["content"] or "",
        finish_reason=choice.get("finish_reason"),
        prompt_tokens=usage.get("prompt_tokens", 0),
        completion_tokens=usage.get("completion_tokens", 0),
    )


def delta_of(line: str) -> str | None:
    """The words a line of the stream carries; None at its end. Raises Problem when the stream reports an error."""
    if not line.startswith("data:"):
        return ""
    data = line.removeprefix("data:").strip()
    if data == "[DONE]":
        return None
    document = orjson.loads(data)
    if "error" in document:
        raise Problem("refused", detail=str(document["error"].get("message")))
    choices = document.get("choices") or [{}]
    return choices[0].get("delta", {}).get("content") or ""
