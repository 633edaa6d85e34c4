"""The body of a chat request, and what it asks of a replica.

Fields that change nothing in the answer are ignored; those that would change it and aren't supported are
refused by name. It knows no HTTP.
"""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from tunery.core.errors import Problem, Where
from tunery.schemas.serving import ChatTurn, GenerateRequest

_MOST_STOPS = 16

_NEUTRAL: dict[str, tuple[object, ...]] = {
    "n": (1,),
    "presence_penalty": (0,),
    "frequency_penalty": (0,),
    "logit_bias": ({},),
    "tools": ([],),
    "tool_choice": ("none", "auto"),
    "functions": ([],),
    "function_call": ("none", "auto"),
    "response_format": ({"type": "text"},),
    "modalities": (["text"],),
    "web_search_options": (),
    "audio": (),
    "prediction": (),
}
"""Parameters that would change the answer, with the values that ask for nothing. null is always one."""
_DETAILS = {
    "n": "only one answer per request is supported",
    "response_format": "answers are free text",
    "modalities": "answers are text",
}


class TextContent(BaseModel):
    """A content part."""

    type: str
    text: str | None = None


class Turn(BaseModel):
    """A message as clients send it; names and refusals in it are ignored."""

    role: Literal["system", "developer", "user", "assistant", "tool", "function"]
    content: str | list[TextContent] | None = None
    tool_calls: list[Any] | None = None

    def read(self, index: int) -> ChatTurn:
        """Raises Problem `unsupported_parameter`, `invalid_request`."""
        field = f"messages[{index}]"
        if self.tool_calls:
            raise _unsupported(f"{field}.tool_calls", "tool calls aren't supported")
        if self.role == "function":
            raise _unsupported(f"{field}.role", "tool calls aren't supported")
        if self.content is None:
            detail = f"{field}.content is missing"
            raise Problem("invalid_request", where=Where(field=f"{field}.content"), detail=f"{detail}.")
        role = "system" if self.role == "developer" else self.role
        return ChatTurn(role=role, content=self._text(field))

    def _text(self, field: str) -> str:
        if isinstance(self.content, str):
            return self.content
        texts: list[str] = []
        for part in self.content or []:
            if part.type != "text" or part.text is None:
                raise _unsupported(f"{field}.content", f"content of type {part.type} isn't supported")
            texts.append(part.text)
        return "".join(texts)


class StreamOptions(BaseModel):
    """How a stream ends."""

    include_usage: bool = False


class ChatRequest(BaseModel):
    """POST /v1/chat/completions."""

    model_config = ConfigDict(extra="allow")

    model: str
    messages: list[Turn] = Field(min_length=1)
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    max_tokens: int | None = Field(None, ge=1)
    max_completion_tokens: int | None = Field(None, ge=1)
    temperature: float | None = Field(None, ge=0, le=2)
    top_p: float | None = Field(None, gt=0, le=1)
    seed: int | None = Field(None, ge=-(2**63), lt=2**63)
    stop: str | list[str] | None = None
    logprobs: bool | None = None
    top_logprobs: int | None = Field(None, ge=0, le=20)

    @property
    def includes_usage(self) -> bool:
        return self.stream_options is not None and self.stream_options.include_usage

    def generate_request(self) -> GenerateRequest:
        """What a replica is asked. Raises Problem `unsupported_parameter`, `invalid_request`."""
        for name, value in (self.model_extra or {}).items():
            neutral = _NEUTRAL.get(name)
            if neutral is not None and value is not None and value not in neutral:
                raise _unsupported(name, _DETAILS.get(name, "this server doesn't implement it"))
        if self.top_logprobs is not None and not self.logprobs:
            detail = "top_logprobs needs logprobs: true."
            raise Problem("invalid_request", where=Where(field="top_logprobs"), detail=detail)
        return GenerateRequest(
            messages=[turn.read(index) for index, turn in enumerate(self.messages)],
            max_tokens=self.max_completion_tokens or self.max_tokens,
            temperature=1.0 if self.temperature is None else self.temperature,
            top_p=1.0 if self.top_p is None else self.top_p,
            seed=self.seed,
            stop=self._stops(),
            logprobs=(self.top_logprobs or 0) if self.logprobs else None,
        )

    def _stops(self) -> list[str]:
        stops = [self.stop] if isinstance(self.stop, str) else self.stop or []
        if len(stops) > _MOST_STOPS:
            detail = f"stop: at most {_MOST_STOPS} sequences are accepted."
            raise Problem("invalid_request", where=Where(field="stop"), detail=detail)
        return [stop for stop in stops if stop]


def _unsupported(name: str, detail: str) -> Problem:
    return Problem("unsupported_parameter", where=Where(field=name), name=name, detail=detail)
