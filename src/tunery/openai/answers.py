"""Answers in OpenAI's shapes: a whole completion, or chunks of one. Knows no HTTP and no model."""

from collections.abc import Iterable
from typing import Any

from tunery.core.clock import MICROSECONDS, now_us
from tunery.core.ids import new_id
from tunery.schemas.serving import EndLine, TextLine, TokenLogprob
from tunery.serve.router import Target

_OWNER = "tunery"


class Completion:
    """One answer while it comes in."""

    def __init__(self, model: str, *, with_logprobs: bool) -> None:
        self.model = model
        self._head = {"id": new_id("chatcmpl"), "created": now_us() // MICROSECONDS, "model": model}
        self._with_logprobs = with_logprobs
        self._lines: list[TextLine] = []

    def take(self, line: TextLine) -> None:
        self._lines.append(line)

    def whole(self, end: EndLine) -> dict[str, Any]:
        """The chat.completion object."""
        text = "".join(line.text for line in self._lines)
        choice = {
            "index": 0,
            "message": {"role": "assistant", "content": text, "refusal": None},
            "logprobs": self._logprobs(each for line in self._lines for each in line.logprobs),
            "finish_reason": end.finish_reason,
        }
        return {**self._head, "object": "chat.completion", "choices": [choice], "usage": usage(end)}

    def opening(self) -> dict[str, Any]:
        """The chunk that begins a stream."""
        return self._chunk({"role": "assistant", "content": ""}, None)

    def piece(self, line: TextLine) -> dict[str, Any]:
        return self._chunk({"content": line.text}, None, self._logprobs(line.logprobs))

    def closing(self, end: EndLine) -> dict[str, Any]:
        return self._chunk({}, end.finish_reason)

    def usage_chunk(self, end: EndLine) -> dict[str, Any]:
        """The last chunk where usage was asked for: no choices."""
        return {**self._head, "object": "chat.completion.chunk", "choices": [], "usage": usage(end)}

    def _chunk(self, delta: dict[str, Any], reason: str | None, logprobs: Any = None) -> dict[str, Any]:
        choice = {"index": 0, "delta": delta, "logprobs": logprobs, "finish_reason": reason}
        return {**self._head, "object": "chat.completion.chunk", "choices": [choice]}

    def _logprobs(self, tokens: Iterable[TokenLogprob]) -> dict[str, Any] | None:
        if not self._with_logprobs:
            return None
        content = [
            {
                **_token(each.token, each.logprob),
                "top_logprobs": [_token(token, logprob) for token, logprob in each.top],
            }
            for each in tokens
        ]
        return {"content": content, "refusal": None}


def usage(end: EndLine) -> dict[str, int]:
    return {
        "prompt_tokens": end.prompt_tokens,
        "completion_tokens": end.completion_tokens,
        "total_tokens": end.prompt_tokens + end.completion_tokens,
    }


def model_card(target: Target) -> dict[str, Any]:
    """The model object; `parent` names the base of a tuned model."""
    card: dict[str, Any] = {
        "id": target.name,
        "object": "model",
        "created": target.created // MICROSECONDS,
        "owned_by": _OWNER,
    }
    return {**card, "parent": target.base_model} if target.version is not None else card


def _token(token: str, logprob: float) -> dict[str, Any]:
    return {"token": token, "logprob": logprob, "bytes": list(token.encode())}
