"""A comparison accounts for every row of both versions, and pairs only what is certain."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.insight.stored import blobs_in, keep, talk
from tunery.data import scatter
from tunery.data.difference import KINDS, Pair, compare, read_pairs
from tunery.data.rows import Message, Preference, Row, Text
from tunery.schemas.check import RowKind


def difference(
    folder: Path, old: list[Row], new: list[Row], kind: RowKind = "conversation"
) -> dict[str, list[Pair]]:
    blobs = blobs_in(folder)
    counts = compare(keep(blobs, old, kind), keep(blobs, new, kind), folder / "pairs")
    with (folder / "pairs").open("rb") as file:
        found = {one: read_pairs(file, counts, one, 0, 10_000) for one in KINDS}
        for one in KINDS:
            assert len(found[one]) == getattr(counts, one)
            assert read_pairs(file, counts, one, 1, 2) == found[one][1:3]
    return found


def test_a_changed_answer_a_changed_question_and_the_rest(tmp_path: Path) -> None:
    a, b = talk("user: A?", "assistant: Ah."), talk("user: B?", "assistant: Be.")
    c, d = talk("user: C?", "assistant: Sea."), talk("user: D?", "assistant: Deep.")
    found = difference(
        tmp_path,
        [a, b, c, d],
        [
            d,
            talk("user: B?", "assistant: Bee!"),
            a,
            talk("user: See?", "assistant: Sea."),
            talk("user: E?", "assistant: Eh."),
        ],
    )
    assert found == {
        "changed": [(1, 1), (2, 3)],
        "added": [(None, 4)],
        "removed": [],
        "unchanged": [(3, 0), (0, 2)],
    }


def test_what_could_be_paired_in_two_ways_is_not(tmp_path: Path) -> None:
    found = difference(
        tmp_path,
        [talk("user: Q", "assistant: one"), talk("user: Q", "assistant: two")],
        [talk("user: Q", "assistant: three")],
    )
    assert found["changed"] == []
    assert (found["removed"], found["added"]) == ([(0, None), (1, None)], [(None, 0)])


def test_a_repeated_row_counts_as_often_as_it_stands_there(tmp_path: Path) -> None:
    row = talk("user: Q", "assistant: A")
    found = difference(tmp_path, [row, row, row], [row])
    assert (found["unchanged"], found["removed"]) == ([(0, 0)], [(1, None), (2, None)])


def test_preferences_and_texts(tmp_path: Path) -> None:
    question = (Message.of("user", "Why?"),)
    good, bad = Message.of("assistant", "Because."), Message.of("assistant", "No.")
    found = difference(
        tmp_path, [Preference(question, (good, bad))], [Preference(question, (bad, good))], "preference"
    )
    assert found["changed"] == [(0, 0)]
    start = "A beginning that is long enough to be known again. " * 5
    found = difference(tmp_path, [Text(start + "one")], [Text(start + "two")], "text")
    assert found["changed"] == [(0, 0)]


@given(st.lists(st.integers(0, 12), max_size=40), st.lists(st.integers(0, 12), max_size=40))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40, deadline=None)
def test_every_row_of_both_is_accounted_for_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, old: list[int], new: list[int]
) -> None:
    monkeypatch.setattr(scatter, "HELD", 7)
    rows = [talk(f"user: {n // 2}", f"assistant: {n}") for n in range(13)]
    found = difference(tmp_path, [rows[n] for n in old], [rows[n] for n in new])
    pairs = [pair for kind in KINDS for pair in found[kind]]
    assert sorted(one for one, _ in pairs if one is not None) == list(range(len(old)))
    assert sorted(one for _, one in pairs if one is not None) == list(range(len(new)))
    assert all(old[a] == new[b] for a, b in found["unchanged"] if a is not None and b is not None)
    assert all(old[a] != new[b] for a, b in found["changed"] if a is not None and b is not None)
    left = set(old) - set(new), set(new) - set(old)
    assert {old[a] for a, _ in found["removed"] if a is not None} | {
        old[a] for a, _ in found["changed"] if a is not None
    } >= left[0]
