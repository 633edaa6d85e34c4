"""What is shown is what is trained: the same tokens and the same marks as the engine's own store, row by row."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.data import chats
from tests.insight.stored import talk
from tests.toys import toy_conversations, toy_texts, toy_tokenizer
from tunery.core.errors import Problem
from tunery.data.check import check_file
from tunery.data.example import Example
from tunery.data.preview import see
from tunery.data.render import ChatRenderer
from tunery.data.rows import Labelled, Message, Preference, Row, decode_row
from tunery.methods.point import METHODS
from tunery.schemas.statistics import SeenRow, SeenSequence

tokens = pytest.importorskip("tunery.engine.tokens")

IM = ["<|im_start|>", "<|im_end|>", "<|endoftext|>"]
HEADERS = ["<|begin_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>", "<|end_of_text|>"]
INST = ["<s>", "</s>", "[INST]", "[/INST]"]
STYLES: dict[str, Callable[[Path], Path]] = {
    "chatml": lambda at: chats.byte_level(at, chats.CHATML, IM, eos="<|im_end|>"),
    "chatml-marked": lambda at: chats.byte_level(at, chats.CHATML_MARKED, IM, eos="<|im_end|>"),
    "llama3": lambda at: chats.byte_level(
        at, chats.LLAMA3, HEADERS, eos="<|end_of_text|>", bos="<|begin_of_text|>"
    ),
    "mistral-sentencepiece": lambda at: chats.with_prefix_space(
        at, chats.MISTRAL, INST, eos="</s>", bos="<s>"
    ),
}


class Shown:
    """Shows rows as a server does."""

    def __init__(self, method: str, renderer: ChatRenderer, limit: int) -> None:
        self.method, self.renderer, self.limit = METHODS.load(method), renderer, limit
        self.settings = self.method.Settings.model_validate(dict(self.method.recommended("lora")))

    def examples(self, row: Row, limit: int) -> Iterator[Example]:
        return self.method.examples(row, self.renderer, self._at(limit))

    def see(self, row: Row) -> SeenRow:
        return see(1, row, self.examples, self.renderer, self.limit)

    def trained(self, row: Row, aside: Path) -> Any:
        """The engine's own store of this row; None where it learns nothing of it."""
        if not any(any(one.supervised) for one in self.examples(row, self.limit)):
            with pytest.raises(Problem, match="no tokens to learn from"):
                tokens.tokenize([row], self.method, self.renderer, self._at(self.limit), aside)
            return None
        return tokens.tokenize([row], self.method, self.renderer, self._at(self.limit), aside)

    def _at(self, limit: int) -> Any:
        return self.settings.model_copy(update={"max_sequence_length": limit})


def kept(sequence: SeenSequence) -> list[tuple[str, int, bool]]:
    """Text, tokens and mark of every piece that isn't cut off."""
    return [(piece.text, piece.tokens, piece.learnt) for piece in sequence.pieces if not piece.cut]


def same_as_trained(shown: Shown, row: Row, aside: Path) -> None:
    """Token by token: where a piece begins and ends, what is learnt, what it says."""
    sequences = shown.see(row).sequences
    store = shown.trained(row, aside)
    if store is None:
        assert all(one.left_out and one.learnt == one.tokens == 0 for one in sequences)
        return
    assert len(store) == len(sequences)
    for index, sequence in enumerate(sequences):
        ids, marks = (part.tolist() for part in store.example(index)[:2])
        assert (sequence.tokens, sequence.learnt) == (len(ids), sum(marks))
        place = 0
        for _, count, learnt in kept(sequence):
            assert marks[place : place + count] == [learnt] * count
            place += count
        assert place == len(ids)
        text = "".join(text for text, _, _ in kept(sequence))
        assert text == shown.renderer.spell(ids)


@pytest.fixture(scope="module")
def real(real_rows: Callable[[str], Path]) -> list[Row]:
    lines: list[bytes] = []
    check_file(real_rows("alpaca_en_demo.json"), None, on_rows=lambda rows, _: lines.extend(rows))
    return [decode_row(line) for line in lines[::40]]


@pytest.mark.parametrize("limit", [48, 4000])
@pytest.mark.parametrize("style", STYLES)
def test_conversations(tmp_path: Path, real: list[Row], style: str, limit: int) -> None:
    shown = Shown("sft", ChatRenderer.open(STYLES[style](tmp_path / "model")), limit)
    long = talk(
        "system: You are kind.",
        "user: Hello there!",
        "assistant: The weather is fine today. 😀",
        "user: And <|im_end|> tomorrow?\nSay it in 日本語.",
        "assistant: のテキスト.\n\nTake an umbrella.",
    )
    for row in [long, *real, *toy_conversations(10)]:
        same_as_trained(shown, row, tmp_path)


def test_text_in_parts(tmp_path: Path) -> None:
    toy_tokenizer(tmp_path / "model")
    shown = Shown("pretrain", ChatRenderer.open(tmp_path / "model"), 16)
    for row in toy_texts(8):
        same_as_trained(shown, row, tmp_path)
    seen = shown.see(max(toy_texts(8), key=lambda row: len(row.text)))
    assert [one.label for one in seen.sequences][:2] == ["part 1", "part 2"]
    assert all(one.cut == 0 for one in seen.sequences)


def test_the_cut_is_marked_and_nothing_hidden(tmp_path: Path) -> None:
    toy_tokenizer(tmp_path / "model")
    renderer = ChatRenderer.open(tmp_path / "model")
    row = talk("user: What is the red house?", "assistant: The house is red and stands there.")
    whole = renderer.conversation(row, 10_000)
    limit = len(whole.tokens) - 6
    (sequence,) = Shown("sft", renderer, limit).see(row).sequences
    assert (sequence.tokens, sequence.cut) == (limit, 6)
    assert "".join(piece.text for piece in sequence.pieces) == renderer.spell(whole.tokens)
    assert sum(piece.tokens for piece in sequence.pieces if piece.cut) == 6
    special = [piece.text for piece in sequence.pieces if piece.special]
    assert special == ["<|user|>", "<|end|><|assistant|>", "<|end|>"]
    assert sequence.pieces[-1].learnt


def test_a_row_with_nothing_to_learn_is_left_out(tmp_path: Path) -> None:
    toy_tokenizer(tmp_path / "model")
    shown = Shown("sft", ChatRenderer.open(tmp_path / "model"), 4)
    row = talk("user: A question that is far too long for this", "assistant: Yes.")
    (sequence,) = shown.see(row).sequences
    assert (sequence.left_out, sequence.tokens, sequence.learnt) == (True, 0, 0)
    same_as_trained(shown, row, tmp_path)


def test_a_row_the_template_refuses_says_why(tmp_path: Path) -> None:
    toy_tokenizer(tmp_path / "model")
    (tmp_path / "model" / "chat_template.jinja").write_text("{{ raise_exception('not this one') }}")
    seen = Shown("sft", ChatRenderer.open(tmp_path / "model"), 99).see(talk("user: a", "assistant: b"))
    assert seen.problem is not None
    assert "not this one" in seen.problem["message"]


@pytest.mark.parametrize(
    "name", [name for name, method in METHODS.all() if method.TAKES & {"preference", "labelled"}]
)
@pytest.mark.parametrize("limit", [24, 4000])
def test_every_method_that_judges_answers(tmp_path: Path, name: str, limit: int) -> None:
    """A branch is shown as a sequence of its own: what all share, then what it has alone."""
    toy_tokenizer(tmp_path / "model")
    shown = Shown(name, ChatRenderer.open(tmp_path / "model"), limit)
    question = (Message.of("user", "What is the red house?"),)
    good, bad = (
        Message.of("assistant", "The house is red."),
        Message.of("assistant", "No, it stands and stands."),
    )
    preference = "preference" in shown.method.TAKES
    row = Preference(question, (good, bad)) if preference else Labelled((*question, good), True)
    sequences = shown.see(row).sequences
    if preference:
        assert [one.label for one in sequences] == ["chosen", "rejected"]
    store = shown.trained(row, tmp_path)
    if store is None:
        assert all(one.left_out for one in sequences)
        return
    piece = store.example(0)
    ids, marks = piece.tokens.tolist(), piece.supervised.tolist()
    shared = len(ids) - sum(piece.branches)
    for sequence, start, length in zip(
        sequences, [shared, shared + (piece.branches or (0,))[0]], piece.branches or (0,), strict=False
    ):
        own = slice(start, start + length)
        assert sequence.tokens == shared + length
        assert sequence.learnt == sum(marks[:shared]) + sum(marks[own])
        text = "".join(text for text, _, _ in kept(sequence))
        assert text == shown.renderer.spell([*ids[:shared], *ids[own]])
