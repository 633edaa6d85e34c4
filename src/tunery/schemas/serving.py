"""What the server and a serving replica say to each other: one question, then lines of an answer."""

from typing import Annotated, Any, Literal, Self

from pydantic import Field, TypeAdapter, model_validator

from tunery.schemas.base import Schema


class ChatTurn(Schema):
    """One turn of a chat."""

    role: Literal["system", "user", "assistant", "tool"]
    content: str


class GenerateRequest(Schema):
    """Ask for an answer. Exactly one of `messages` and `prompt_ids`."""

    adapter: str | None = None
    """Name of a loaded adapter; none = the base model."""
    messages: list[ChatTurn] | None = None
    prompt_ids: list[int] | None = None
    """A prompt that is rendered already."""
    max_tokens: int | None = Field(None, ge=1)
    """Maximum length of the answer in tokens; none = as long as the context allows."""
    temperature: float = Field(1.0, ge=0, le=2)
    """0 = always the most likely token."""
    top_p: float = Field(1.0, gt=0, le=1)
    seed: int | None = None
    stop: list[Annotated[str, Field(min_length=1)]] = []
    logprobs: int | None = Field(None, ge=0, le=20)
    """Number of alternatives per token; none = no log-probabilities."""

    @model_validator(mode="after")
    def _one_prompt(self) -> Self:
        if (self.messages is None) == (self.prompt_ids is None):
            raise ValueError("give either messages or prompt_ids")
        if not (self.messages or self.prompt_ids):
            raise ValueError("the prompt is empty")
        return self


class LoadAdapterRequest(Schema):
    """Load an adapter under a name that never means another one."""

    name: str
    path: str


class TokenLogprob(Schema):
    """How likely one token of the answer was."""

    token: str
    logprob: float
    top: list[tuple[str, float]] = []
    """The likeliest tokens at this place, in falling order."""


class TextLine(Schema):
    """The next piece of the answer."""

    type: Literal["text"] = "text"
    text: str
    logprobs: list[TokenLogprob] = []


class EndLine(Schema):
    """The answer is complete."""

    type: Literal["end"] = "end"
    finish_reason: Literal["stop", "length"]
    prompt_tokens: int
    completion_tokens: int


class ProblemLine(Schema):
    """The answer broke off."""

    type: Literal["problem"] = "problem"
    problem: dict[str, Any]


AnswerLine = Annotated[TextLine | EndLine | ProblemLine, Field(discriminator="type")]
ANSWER_LINE: TypeAdapter[AnswerLine] = TypeAdapter(AnswerLine)
