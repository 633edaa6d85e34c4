"""One answer in the making: its prompt, what was generated, when it ends. Knows no tensors."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

from tunery.core.errors import Problem
from tunery.replica.sampling import Sampling
from tunery.replica.text import StopScanner
from tunery.schemas.serving import EndLine, ProblemLine, TextLine, TokenLogprob

Line = TextLine | EndLine | ProblemLine


@dataclass(eq=False)
class Answer:
    """One request while the decoder works on it."""

    prompt: list[int]
    adapter: str | None
    limit: int
    """The most tokens to generate."""
    sampling: Sampling
    stops: list[str]
    ends: frozenset[int]
    """Tokens that end an answer."""
    decode: Callable[[int], str]
    """The text a token adds; empty while a character is incomplete."""
    rest: Callable[[], str]
    """Text still incomplete when the answer ends."""
    emit: Callable[[Line], None]
    """Takes the lines of the answer; called on the decoder's thread, must not block."""
    cancelled: bool = False
    """Nobody waits for it any more; the decoder drops it before the next token."""
    tokens: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.generator = self.sampling.generator()
        self._scanner = StopScanner(self.stops)
        self._logprobs: list[TokenLogprob] = []

    def accept(self, token: int, logprob: TokenLogprob | None) -> bool:
        """Take the next token; True when the answer is complete."""
        self.tokens.append(token)
        if token in self.ends:
            return self._end("stop")
        if logprob is not None:
            self._logprobs.append(logprob)
        self._show(self._scanner.feed(self.decode(token)))
        if self._scanner.stopped:
            return self._end("stop")
        return self._end("length") if len(self.tokens) >= self.limit else False

    def fail(self, problem: Problem) -> None:
        self.emit(ProblemLine(problem=problem.as_dict()))

    def _show(self, text: str) -> None:
        if text:
            self.emit(TextLine(text=text, logprobs=self._logprobs))
            self._logprobs = []

    def _end(self, reason: Literal["stop", "length"]) -> bool:
        if not self._scanner.stopped:
            self._show(self._scanner.feed(self.rest()) + self._scanner.finish())
        if self._logprobs and not self._scanner.stopped:
            self.emit(TextLine(text="", logprobs=self._logprobs))
        self.emit(
            EndLine(finish_reason=reason, prompt_tokens=len(self.prompt), completion_tokens=len(self.tokens))
        )
        return True
