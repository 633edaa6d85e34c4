"""Rows and messages -> tokens, by a model's tokenizer and chat template. Preview, training, evaluation and serving
all come through here, without torch.

How a prompt stays the same in all of them: a conversation is rendered to text, the text is cut where a turn of the
assistant begins and ends, and each part is encoded for itself. What stands before an answer in training is then
token by token what `prompt` gives when the model is to write that answer. Encoded in one go, an answer that begins
with a line break or a space could merge with the end of the prompt into a token the served model never sees.

How text stays text: a user may write `<|end|>`. Before rendering, an invisible mark is put into every control
token that content merely spells out, and the rendered text is cut there too, so that the tokenizer can't see it.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import orjson

from tunery.core.errors import Problem
from tunery.data.example import Example
from tunery.data.rows import Conversation, Message, TextPart
from tunery.data.streaming import StreamDecoder
from tunery.data.template import PLAIN, ChatTemplate, TemplateFailure
from tunery.data.vocabulary import Speller, Vocabulary, read_tokenizer_files

_PLACEHOLDER = "TuneryAnswerStandsHere"


@dataclass(frozen=True)
class _Call:
    """What stays the same over all renderings of one call: the time, and three characters no content holds."""

    now: datetime
    cut: str
    opening: str
    closing: str


@dataclass(frozen=True)
class _Rendered:
    """A text with the places in it that the model writes, in order."""

    text: str
    answers: list[tuple[int, int]]


class ChatRenderer:
    """Renders for one model. `source` is its folder, or the files of it that `read_tokenizer_files` names.

    `family_template` is used only where the model brings no chat template, and a plain one where neither does. `now`
    is what a template is told of the date, so that a resumed training renders what it rendered before; None = the
    present moment.
    """

    def __init__(
        self,
        source: Path | Mapping[str, bytes],
        *,
        family_template: str | None = None,
        name: str | None = None,
        now: datetime | None = None,
    ) -> None:
        self.name = name or (str(source) if isinstance(source, Path) else "this model")
        files = read_tokenizer_files(source) if isinstance(source, Path) else source
        self._vocabulary = Vocabulary(files, self.name)
        self._now = now
        plain = PLAIN if self._vocabulary.eos_id is not None else None
        own = _template_of(files, self._vocabulary.config)
        source_text = own or family_template or plain
        self.brought_template = None if own else source_text
        """The template in use, where it isn't the model's own: whoever keeps what was trained keeps it too."""
        self._template: ChatTemplate | None = None
        controls = [token.content for token in self._vocabulary.added.values() if token.special]
        controls += self._vocabulary.named.values()
        self._special = {self._vocabulary.id_of(token) for token in controls}
        self._in_answers = Speller(controls)
        self._in_prompts = self._in_answers
        self._opening = self._end = ""
        self._end_token: str | None = None
        if source_text is not None:
            try:
                self._template = ChatTemplate(source_text, self._vocabulary.named)
            except TemplateFailure as failure:
                raise Problem("chat_template_failed", row="any", detail=str(failure)) from failure
            template = self._template
            # `<tool_call>`, `<think>`: not special, yet control where the template writes them. The model writes
            # them itself, so they stay what they are inside answers.
            written = [token for token in self._vocabulary.added if template.writes(token)]
            self._in_prompts = Speller([*controls, *written])
            self._opening, self._end, self._end_token = self._probe([*controls, *written])
            if self._end_token is not None:
                self._in_answers = Speller([*controls, self._end_token])

    @classmethod
    def open(
        cls, folder: Path, family_template: str | None = None, *, now: datetime | None = None
    ) -> "ChatRenderer":
        """The renderer of a model's folder. Raises Problem `model_folder_incomplete`, `chat_template_failed`."""
        return cls(folder, family_template=family_template, now=now)

    @property
    def bos_id(self) -> int | None:
        """The token the tokenizer puts before a text by itself."""
        return self._vocabulary.bos_id

    @property
    def eos_ids(self) -> tuple[int, ...]:
        """Tokens at which an answer ends: the tokenizer's, the generation config's, the chat template's."""
        ends = list(self._vocabulary.end_ids)
        if self._end_token is not None:
            ends.append(self._id_of(self._end_token))
        return tuple(dict.fromkeys(ends))

    def decode(self, ids: Sequence[int]) -> str:
        """The text of ids, without special tokens."""
        return self._vocabulary.decode(ids)

    def spell(self, ids: Sequence[int]) -> str:
        """The text of ids, special tokens spelled out."""
        return self._vocabulary.decode(ids, skip_special=False)

    def is_special(self, id: int) -> bool:
        """Whether a token is control, not text."""
        return id in self._special

    def stream(self) -> StreamDecoder:
        """A decoder for ids that come one by one."""
        return StreamDecoder(self._vocabulary.decode)

    def prompt(self, messages: Sequence[Message], tools: str = "") -> list[int]:
        """The tokens after which the model is to answer.

        Raises Problem `no_chat_template` or `chat_template_failed`.
        """
        call = self._call(messages, tools)
        rendered = self._render(messages, tools, call, answer_next=True)
        return [token for tokens, _ in self._parts(rendered, call) for token in tokens]

    def conversation(self, row: Conversation, limit: int) -> Example:
        """The tokens of a row. Supervised: every turn of the assistant with its end marker, as far as it fits.

        Raises Problem `no_chat_template` or `chat_template_failed`.
        """
        call = self._call(row.messages, row.tools)
        rendered = self._render(row.messages, row.tools, call, answer_next=False)
        tokens: list[int] = []
        supervised: list[bool] = []
        for part, learnt in self._parts(rendered, call):
            tokens += part
            supervised += [learnt] * len(part)
        eos = self._vocabulary.eos_id
        if self._end_token is None and eos is not None and (not tokens or tokens[-1] not in self.eos_ids):
            # A template that never ends a turn would teach the model never to stop.
            tokens.append(eos)
            supervised.append(True)
        supervised[:1] = [False]
        return Example(tokens[:limit], supervised[:limit], cut=len(tokens) > limit)

    def text(self, text: str, limit: int) -> Iterator[Example]:
        """A document with its begin and end tokens, in consecutive pieces of at most `limit` tokens."""
        mark = _unused(text)[0]
        tokens = self._vocabulary.parts(self._in_answers(text, mark), mark)
        if self._vocabulary.bos_id is not None:
            tokens.insert(0, self._vocabulary.bos_id)
        if self._vocabulary.eos_id is not None:
            tokens.append(self._vocabulary.eos_id)
        for start in range(0, len(tokens), limit):
            piece = tokens[start : start + limit]
            yield Example(piece, [False] + [True] * (len(piece) - 1), cut=len(tokens) > limit)

    def _parts(self, rendered: _Rendered, call: _Call) -> Iterator[tuple[list[int], bool]]:
        """The text's tokens in parts, and whether the model writes them."""
        place = 0
        borders = [(start, end) for start, end in rendered.answers if start < end]
        for start, end in [*borders, (len(rendered.text), len(rendered.text))]:
            yield self._encode(rendered.text, place, start, call), False
            yield self._encode(rendered.text, start, end, call), True
            place = end

    def _encode(self, text: str, start: int, end: int, call: _Call) -> list[int]:
        return self._vocabulary.parts(text[start:end], call.cut, text[max(0, start - 100) : start])

    def _render(
        self, messages: Sequence[Message], tools: str, call: _Call, *, answer_next: bool
    ) -> _Rendered:
        """Text and answers. The answers are found by the template's own call, or by comparing renderings."""
        try:
            text = self._run(messages, tools, call, answer_next)
        except TemplateFailure as failure:
            raise Problem("chat_template_failed", row=_beginning(messages), detail=str(failure)) from failure
        if self._template is not None and self._template.marks_answers:
            return self._by_marks(text, call)
        answers: list[tuple[int, int]] = []
        for number, message in enumerate(messages):
            if message.role == "assistant":
                answers.append(self._find(text, messages, number, tools, call, answer_next))
        return _Rendered(text, answers)

    def _by_marks(self, text: str, call: _Call) -> _Rendered:
        """`{% generation %}` says what the model writes. A end token right behind it belongs to it."""
        plain: list[str] = []
        answers: list[tuple[int, int]] = []
        length = 0
        for number, part in enumerate(text.split(call.opening)):
            inside, closed, outside = part.partition(call.closing)
            if number and closed:
                start, end = length, length + len(inside)
                token = self._end_token
                if token and not inside.rstrip().endswith(token) and outside.startswith(token):
                    end += len(token)
                answers.append((start, end))
            plain += (inside, outside)
            length += len(inside) + len(outside)
        return _Rendered("".join(plain), answers)

    def _find(
        self,
        text: str,
        messages: Sequence[Message],
        number: int,
        tools: str,
        call: _Call,
        answer_next: bool,
    ) -> tuple[int, int]:
        """Where the answer `messages[number]` stands: it starts where its prompt ends.

        A template that rewrites earlier turns makes that prompt no beginning of the text; then the answer is
        found by putting something else in its place.
        """
        start = self._prompt_end(text, messages[:number], tools, call)
        if start is not None and self._end_token is not None:
            end = text.find(self._end_token, start)
            if end >= 0:
                return start, end + len(self._end_token)
        found_start, found_end = self._find_by_placeholder(text, messages, number, tools, call, answer_next)
        return found_start if start is None else min(start, found_start), found_end

    def _prompt_end(self, text: str, before: Sequence[Message], tools: str, call: _Call) -> int | None:
        try:
            prompt = self._run(before, tools, call, answer_next=True)
        except TemplateFailure:
            # Some templates refuse a conversation that ends here; the whole one they took.
            return None
        return len(prompt) if text.startswith(prompt) else None

    def _find_by_placeholder(
        self,
        text: str,
        messages: Sequence[Message],
        number: int,
        tools: str,
        call: _Call,
        answer_next: bool,
    ) -> tuple[int, int]:
        placeholder = _PLACEHOLDER
        while placeholder in text:
            placeholder += "X"
        changed = list(messages)
        changed[number] = Message.of("assistant", placeholder)
        try:
            other = self._run(changed, tools, call, answer_next)
        except TemplateFailure as failure:
            raise Problem("chat_template_failed", row=_beginning(messages), detail=str(failure)) from failure
        before, found, after = other.partition(placeholder)
        end = len(text) - len(after)
        if not found or not text.startswith(before) or not text.endswith(after) or end < len(before):
            detail = f"it doesn't show where the answer in message {number + 1} stands"
            raise Problem("chat_template_failed", row=_beginning(messages), detail=detail)
        if text.startswith(self._end, end):
            end += len(self._end)
        start = len(before) - (len(self._opening) if before.endswith(self._opening) else 0)
        return start, end

    def _probe(self, controls: Sequence[str]) -> tuple[str, str, str | None]:
        """What the template writes around an answer: what stands between prompt and answer, what follows up to
        the end token, and that token, where there is one."""
        messages = [Message.of("user", "a"), Message.of("assistant", _PLACEHOLDER)]
        call = self._call(messages, "")
        try:
            text = self._run(messages, "", call, answer_next=False)
            prompt = self._run(messages[:1], "", call, answer_next=True)
        except TemplateFailure:
            # It wants something that no row can be expected to lack or hold; each row will be told apart.
            return "", "", None
        text = text.replace(call.opening, "").replace(call.closing, "")
        before, _, after = text.partition(_PLACEHOLDER)
        opening = before.removeprefix(prompt) if before.startswith(prompt) else ""
        present = [(after.find(token), -len(token), token) for token in controls if token and token in after]
        if not present:
            return opening, after, None
        at, _, token = min(present)
        return opening, after[: at + len(token)], token

    def _run(self, messages: Sequence[Message], tools: str, call: _Call, answer_next: bool) -> str:
        if self._template is None:
            raise Problem("no_chat_template", name=self.name)
        told = [
            {"role": message.role, "content": self._speller(message)(message.text, call.cut)}
            for message in messages
        ]
        return self._template.render(
            told,
            tools=orjson.loads(self._in_prompts(tools, call.cut)) if tools else None,
            add_generation_prompt=answer_next,
            now=call.now,
            marks=(call.opening, call.closing),
        )

    def _call(self, messages: Sequence[Message], tools: str) -> _Call:
        if any(not isinstance(part, TextPart) for message in messages for part in message.content):
            detail = "the row shows an image, and only text can be rendered"
            raise Problem("chat_template_failed", row=_beginning(messages), detail=detail)
        unused = _unused(tools, *(message.text for message in messages))
        return _Call(self._now or datetime.now(), *unused)

    def _speller(self, message: Message) -> Speller:
        return self._in_answers if message.role == "assistant" else self._in_prompts

    def _id_of(self, token: str) -> int:
        number = self._vocabulary.id_of(token)
        assert number is not None
        return number


def _template_of(files: Mapping[str, bytes], config: Mapping[str, Any]) -> str | None:
    """The chat template a model brings: a file of its own, or in the tokenizer's config."""
    if "chat_template.jinja" in files:
        return files["chat_template.jinja"].decode("utf-8")
    given = config.get("chat_template")
    if isinstance(given, list):
        named = {entry.get("name"): entry.get("template") for entry in given if isinstance(entry, dict)}
        given = named.get("default")
    return given if isinstance(given, str) else None


def _unused(*texts: str) -> tuple[str, str, str]:
    """Three characters of the last private-use plane that none of the texts holds."""
    found: list[str] = []
    number = 0x10FFFD
    while len(found) < 3:
        character = chr(number)
        if not any(character in text for text in texts):
            found.append(character)
        number -= 1
    return found[0], found[1], found[2]


def _beginning(messages: Sequence[Message]) -> str:
    """Names a row by how it begins."""
    text = messages[0].text if messages else ""
    return f"“{text[:60]}…”" if len(text) > 60 else f"“{text}”"
