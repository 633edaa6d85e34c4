"""Rows and messages -> tokens for a model that reads with an encoder and writes with a decoder.

The prompt goes to the encoder as the chat template writes it; the answer stands alone, between the token that begins
the decoder's text and the one that ends it. Of a conversation of several answers the last is learnt.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path

from tunery.core.errors import Problem
from tunery.data.example import Example, paired
from tunery.data.render import ChatRenderer
from tunery.data.rows import Conversation, Message


class PairRenderer(ChatRenderer):
    """Renders for one such model; `start`: the token that begins the decoder's text."""

    def __init__(
        self,
        source: Path | Mapping[str, bytes],
        *,
        start: int,
        family_template: str | None = None,
        name: str | None = None,
        now: datetime | None = None,
    ) -> None:
        super().__init__(source, family_template=family_template, name=name, now=now)
        self._start = start
        eos = self._vocabulary.eos_id
        if eos is None:
            raise Problem("no_chat_template", name=self.name)
        self._eos = eos

    def prompt(self, messages: Sequence[Message], tools: str = "") -> list[int]:
        """The tokens that the encoder reads."""
        return super().prompt(messages, tools) or [self._eos]

    def conversation(self, row: Conversation, limit: int) -> Example:
        """All that stands before the last answer as a trunk, the answer as its branch; `limit` tokens each."""
        last = max(
            (at for at, message in enumerate(row.messages) if message.role == "assistant"), default=None
        )
        if last is None:
            return paired(self.prompt(row.messages, row.tools), [[self._start]], limit)
        return paired(self.prompt(row.messages[:last], row.tools), [self._answer(row.messages[last])], limit)

    def _answer(self, message: Message) -> list[int]:
        call = self._call([message], "")
        text = self._in_answers(message.text, call.cut)
        return [self._start, *self._vocabulary.parts(text, call.cut), self._eos]
