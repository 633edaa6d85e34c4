"""Measures a version: one pass over its rows, in memory that doesn't grow with their number.

What it finds of the whole is a document; what it finds of each row goes to a facts file. A tokenizer is used if
there is one; tokens are then counted on the rows as the model sees them. It knows nothing of tasks.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from tunery.core.errors import Problem
from tunery.data.example import Example, last_answer
from tunery.data.facts import EMPTY, REFUSED, SHORT, FactsWriter
from tunery.data.language import READ, knows_languages, language_of
from tunery.data.lengths import Lengths
from tunery.data.render import ChatRenderer
from tunery.data.rows import (
    Captioned,
    Conversation,
    Labelled,
    Preference,
    Row,
    Text,
    TextPart,
    characters,
    decode_row,
    messages_of,
)
from tunery.data.scatter import PARTS, Numbers, Scatter
from tunery.data.store import VersionReader
from tunery.schemas.statistics import LanguageShare, VersionStatistics

REVISION = 1
"""Goes up when what is measured changes, so that older results are not taken for new ones."""
SHORT_ANSWER = 10
"""An answer with fewer characters is short."""
UNCUT = 1 << 40
_TICK = 256


def measure(
    version: VersionReader,
    renderer: ChatRenderer | None,
    facts: Path,
    tick: Callable[[int], None] = lambda done: None,
) -> tuple[VersionStatistics, list[tuple[int, int]]]:
    """Measure a version and leave the facts of its rows in `facts`. `tick(rows done)` is called now and then.

    Returns what was found, and how many rows have how many tokens (see `lengths`).

    Raises Problem `no_chat_template` where the tokenizer's model has none and the rows need one.
    """
    tally = _Tally(renderer)
    with FactsWriter(facts) as writer, Scatter() as scatter, Numbers(len(version)) as repeats:
        for number, line in enumerate(version.lines()):
            if number % _TICK == 0:
                tick(number)
            scatter.add(hash(line), number)
            writer.add(*tally.add(number, decode_row(line)))
        duplicates = find_repeats(scatter, repeats)
        writer.finish(repeats)
    return tally.result(duplicates), tally.lengths()


def find_repeats(scatter: Scatter, repeats: Numbers) -> int:
    """Note for each row that repeats an earlier one 1 + the earliest one's number; returns how many there are."""
    found = 0
    for part in range(PARTS):
        first: dict[int, int] = {}
        for hash, number in scatter.part(part):
            earlier = first.setdefault(hash, number)
            if earlier != number:
                repeats[number] = earlier + 1
                found += 1
    return found


def sequences(row: Row, renderer: ChatRenderer) -> Iterator[Example]:
    """A row as the model sees it, uncut: one token sequence, or for a preference the best and the worst answer's.

    A picture with a caption is none: no language model reads it.
    """
    if isinstance(row, Captioned):
        return
    if isinstance(row, Text):
        yield from renderer.text(row.text, UNCUT)
    elif isinstance(row, Preference):
        for answer in (row.chosen, row.rejected):
            yield renderer.conversation(Conversation((*row.messages, answer), row.tools), UNCUT)
    else:
        yield renderer.conversation(Conversation(row.messages, row.tools), UNCUT)


class _Tally:
    """Counts of the rows seen so far."""

    def __init__(self, renderer: ChatRenderer | None) -> None:
        self._renderer = renderer
        self._rows = 0
        self._characters = Lengths()
        self._tokens = Lengths()
        self._sequence_tokens = self._learnt = 0
        self._refused = 0
        self._refused_example: dict[str, Any] | None = None
        self._roles: Counter[str] = Counter()
        self._empty_roles: Counter[str] = Counter()
        self._languages: Counter[str] | None = Counter() if knows_languages() else None
        self._empty = self._short = 0

    def add(self, number: int, row: Row) -> tuple[int, int | None, str | None, int]:
        """Count a row; returns its facts."""
        self._rows += 1
        size = characters(row)
        self._characters.add(size)
        marks = self._turns(row)
        tokens = None
        if self._renderer is not None:
            refused = self._refused
            tokens = self._count_tokens(number, row, self._renderer)
            marks |= REFUSED if self._refused > refused else 0
        language = None
        if self._languages is not None:
            language = language_of(_sample(row))
            self._languages[language] += 1
        return size, tokens, language, marks

    def _turns(self, row: Row) -> int:
        """Count the turns; returns the row's marks."""
        if isinstance(row, Text | Captioned):
            words = row.text if isinstance(row, Text) else row.caption
            self._empty += not words.strip()
            return 0 if words.strip() else EMPTY
        empty = 0
        for message in messages_of(row):
            self._roles[message.role] += 1
            if not message.text.strip() and all(isinstance(part, TextPart) for part in message.content):
                self._empty_roles[message.role] += 1
                empty = EMPTY
        short = SHORT if len(_last_answer(row).strip()) < SHORT_ANSWER else 0
        self._empty += bool(empty)
        self._short += bool(short)
        return empty | short

    def _count_tokens(self, number: int, row: Row, renderer: ChatRenderer) -> int | None:
        try:
            found = list(sequences(row, renderer))
        except Problem as problem:
            if problem.code != "chat_template_failed":
                raise
            self._refused += 1
            self._refused_example = self._refused_example or {"row": number + 1, **problem.as_dict()}
            return None
        if not found:
            return None
        self._sequence_tokens += sum(len(example.tokens) for example in found)
        self._learnt += sum(_learnt(row, example) for example in found)
        longest = max(len(example.tokens) for example in found)
        self._tokens.add(longest)
        return longest

    def result(self, duplicates: int) -> VersionStatistics:
        counted = self._renderer is not None
        return VersionStatistics(
            rows=self._rows,
            turns=self._roles.total(),
            turns_by_role=dict(self._roles.most_common()),
            characters=self._characters.summary(),
            tokens=self._tokens.summary() if counted else None,
            sequence_tokens=self._sequence_tokens if counted else None,
            learnt_tokens=self._learnt if counted else None,
            refused_rows=self._refused,
            refused_example=self._refused_example,
            languages=self._language_shares(),
            duplicates=duplicates,
            empty_rows=self._empty,
            empty_turns_by_role=dict(self._empty_roles.most_common()),
            short_answers=self._short,
        )

    def lengths(self) -> list[tuple[int, int]]:
        """Of the rows in tokens."""
        return self._tokens.pairs()

    def _language_shares(self) -> list[LanguageShare] | None:
        if self._languages is None:
            return None
        return [
            LanguageShare(language=language, rows=rows, share=rows / self._rows)
            for language, rows in self._languages.most_common()
        ]


def _learnt(row: Row, example: Example) -> int:
    """Tokens that are learnt from: all answers; of a judged row the one that was judged."""
    if isinstance(row, Preference | Labelled):
        start, end = last_answer(example)
        return end - start
    return sum(example.supervised)


def _last_answer(row: Row) -> str:
    if isinstance(row, Preference):
        return row.chosen.text
    return next((turn.text for turn in reversed(messages_of(row)) if turn.role == "assistant"), "")


def _sample(row: Row) -> str:
    """The words by which a row's language is told: of the answer first, then of the question."""
    if isinstance(row, Text):
        return row.text[:READ]
    if isinstance(row, Captioned):
        return row.caption[:READ]
    words = [turn.text[:READ] for turn in reversed(messages_of(row)) if turn.role in ("assistant", "user")]
    return " ".join(words)[:READ]
