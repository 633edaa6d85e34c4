"""Requests become answers to be generated: rendered, measured against the context, with their end tokens."""

from collections.abc import Callable

from tunery.core.errors import Problem
from tunery.data.render import ChatRenderer
from tunery.data.rows import Message
from tunery.replica.answer import Answer, Line
from tunery.replica.sampling import Sampling
from tunery.schemas.serving import GenerateRequest


class Prompts:
    """The rendering side of a replica. Knows no tensors."""

    def __init__(self, renderer: ChatRenderer, context: int, *, apart: bool = False) -> None:
        """`apart`: prompt and answer have the context each for themselves, as where an encoder reads the prompt."""
        self._renderer = renderer
        self._apart = apart
        self.context = context

    def answer(self, request: GenerateRequest, emit: Callable[[Line], None]) -> Answer:
        """Prepare one answer. Raises Problem `context_length_exceeded`, `chat_template_failed`."""
        prompt = self._prompt(request)
        room = self.context - len(prompt)
        if self._apart and room >= 0:
            room = self.context
        wanted = request.max_tokens or max(room, 1)
        if wanted > room:
            raise Problem("context_length_exceeded", tokens=len(prompt), wanted=wanted, limit=self.context)
        text = self._renderer.stream()
        return Answer(
            prompt=prompt,
            adapter=request.adapter,
            limit=wanted,
            sampling=Sampling(request.temperature, request.top_p, request.seed, request.logprobs),
            stops=request.stop,
            ends=frozenset(self._renderer.eos_ids),
            decode=text.add,
            rest=text.finish,
            emit=emit,
        )

    def token_text(self, token: int) -> str:
        """One token on its own, for log-probabilities."""
        return self._renderer.decode([token])

    def _prompt(self, request: GenerateRequest) -> list[int]:
        if request.prompt_ids is not None:
            return request.prompt_ids
        turns = request.messages or []
        return self._renderer.prompt([Message.of(turn.role, turn.content) for turn in turns])
