"""The quality score: every sign on texts made for it, and few of the rows that people made."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tunery.data.check import check_file
from tunery.data.clean import clean, ready
from tunery.data.quality import SIGNS, Judged, judge
from tunery.data.rows import Conversation, Labelled, Message, Preference, Row, Text, decode_row
from tunery.schemas.cleaning import CleaningStep

GOOD = "The harbour lies behind the hills. Ships come in the morning and leave before noon, whatever the weather."


def talk(question: str, answer: str) -> Conversation:
    return Conversation((Message.of("user", question), Message.of("assistant", answer)))


@pytest.mark.parametrize(
    ("sign", "question", "answer"),
    [
        ("repetition", "Why?", "because I said so, " * 40 + "."),
        ("repetition", "何？", "是的。" * 300),
        ("broken_characters", "Who?", "Itâ€™s AndrÃ©."),
        ("broken_characters", "Who?", "Caf\ufffd."),
        ("refusal", "Who?", "I'm sorry, but I can't do that."),
        ("refusal", "Who?", "作为一个AI，我没有感情。"),
        ("echo", "Where does the harbour lie?", "Where does the  harbour lie?"),
        ("nothing_said", "Who?", "…"),
        ("placeholder", "Write a letter.", "Dear Ann, I was there. Yours, [Your Name]"),
        ("markup", "Where?", "<p>Behind the hills.&nbsp;</p>"),
        ("capitals", "Where?", GOOD.upper()),
        ("cut_off", "Where?", GOOD * 3 + " Then,"),
    ],
)
def test_every_sign_is_seen_and_can_be_ignored(sign: Any, question: str, answer: str) -> None:
    row = talk(question, answer)
    assert judge(row).signs == [sign]
    assert judge(row).score == 1 - SIGNS[sign].costs
    assert judge(row, [sign]) == (1.0, [])


def test_all_signs_have_a_text_above() -> None:
    (mark,) = test_every_sign_is_seen_and_can_be_ignored.pytestmark
    assert {one[0] for one in mark.args[1]} == set(SIGNS)


def test_only_what_is_to_be_learnt_counts() -> None:
    ask, good, bad = Message.of("user", "Where?"), Message.of("assistant", GOOD), Message.of("assistant", "…")
    rows: list[tuple[Row, float]] = [
        (Preference((ask,), (good, bad)), 1.0),
        (Preference((ask,), (bad, good)), 0.4),
        (Labelled((ask, bad), False), 1.0),
        (Labelled((ask, bad), True), 0.4),
        (Conversation((ask, bad, ask, good)), 0.4),
        (Text(GOOD * 3 + " Then,"), 1.0),
        (talk("Write HTML for two lines.", "<p>one</p><p>two</p>"), 1.0),
        (talk("Who?", "…\n" * 200), 0.0),
    ]
    assert [judge(row).score for row, _ in rows] == [score for _, score in rows]


def test_the_step_removes_what_is_below_the_minimum(tmp_path: Path) -> None:
    rows = [talk("Where?", GOOD), talk("Where?", "…"), talk("Where?", "<br>Behind &amp; above.<br>")]
    for settings, left in (({}, [0, 2]), ({"minimum": 0.9}, [0]), ({"ignore": ["nothing_said"]}, [0, 1, 2])):
        kept: list[Row] = []
        found = clean(
            rows,
            ready([CleaningStep(step="quality", settings=settings)]),
            scratch=tmp_path,
            dataset=lambda _: (),
            on_rows=lambda lines, _, kept=kept: kept.extend(map(decode_row, lines)),
        )
        assert kept == [rows[number] for number in left]
        assert found.steps[0].removed == 3 - len(left)
    assert sum(found.steps[0].reasons.values()) == 0


def test_few_of_the_rows_that_people_made_are_removed(real_rows: Callable[[str], Path]) -> None:
    """Some of them were written by a model that says so; these are meant to go."""
    for name, refusals in (("alpaca_en_demo.json", 25), ("c4_demo.jsonl", 0)):
        found: list[Judged] = []
        check_file(
            real_rows(name),
            on_rows=lambda lines, _, found=found: found.extend(map(judge, map(decode_row, lines))),
        )
        assert sum("refusal" in one.signs for one in found) == refusals
        others = sum(one.score < 0.5 and "refusal" not in one.signs for one in found)
        assert others <= 0.02 * len(found), name
