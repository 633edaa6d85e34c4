"""Templates and words, without a browser: each template can be read, and what is shown says what it should."""

import pytest

from tunery.schemas.run import Stage
from tunery.web import words
from tunery.web.templating import environment


@pytest.mark.parametrize("name", environment().list_templates(["html"]))
def test_every_template_can_be_read(name: str) -> None:
    environment().get_template(name)


def test_what_stands_between_backticks_is_code_and_nothing_else_is_markup() -> None:
    assert words.coded("Set `a<b` & go, `") == "Set <code>a&lt;b</code> &amp; go, `"


def test_a_score_is_said_in_one_way() -> None:
    assert [words.measured(value, share=True) for value in (0, 1, 0.9749, 0.025)] == [
        "0 %",
        "100 %",
        "97.5 %",
        "2.5 %",
    ]
    assert words.measured(1.23456, share=False) == "1.23"
    assert words.changed(-0.0125, share=True) == "−1.2 points"
    assert words.changed(0.25, share=False) == "+0.25"


def test_a_stage_takes_the_time_that_was_worked_on_it() -> None:
    second = 1_000_000
    train = Stage(
        name="train", state="succeeded", started=5 * second, ended=3605 * second, idle=3590 * second
    )
    waiting = Stage(name="publish", state="waiting")
    assert words.worked(train) == 10
    assert words.worked_all([train, waiting]) == 10
    assert words.worked_all([waiting]) is None
    assert words.duration(0.2) == "under 1 s"
