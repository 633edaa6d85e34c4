"""A search finds exactly the rows that fit, wherever it stops and goes on."""

import time
from collections.abc import Callable
from pathlib import Path

import orjson
import pytest

from tests.insight.stored import blobs_in, keep, talk
from tunery.data.facts import Facts
from tunery.data.rows import Text
from tunery.data.search import Query, Search
from tunery.data.statistics import measure
from tunery.data.store import VersionReader

ROWS = [
    talk("user: Where is Paris?", "assistant: In France."),
    talk("system: Be brief.", "user: Und MÜNCHEN?", "assistant: In Bayern."),
    talk("user: Quote it", 'assistant: He said "Paris\\n" and left.'),
    talk("user: 東京はどこですか", "assistant: 日本です。"),
    talk("user: Where is Paris?", "assistant: In France."),
    talk("user: role", "assistant: A line\nbreak and a\ttab"),
]


@pytest.fixture
def version(tmp_path: Path) -> VersionReader:
    return keep(blobs_in(tmp_path), ROWS)


def numbers(version: VersionReader, query: Query, facts: Facts | None = None) -> list[int]:
    search = Search(version, query, facts)
    search.go_on(60)
    assert search.complete
    assert search.searched == len(version)
    return list(search.found)


@pytest.mark.parametrize(
    ("query", "found"),
    [
        (Query(text="paris"), [0, 2, 4]),
        (Query(text="PARIS"), [0, 2, 4]),
        (Query(text="paris", role="assistant"), [2]),
        (Query(text="münchen"), [1]),
        (Query(text="東京"), [3]),
        (Query(text='said "Paris\\n"'), [2]),
        (Query(text="line\nbreak"), [5]),
        (Query(text="a\ttab"), [5]),
        (Query(role="system"), [1]),
        (Query(text="assistant"), []),
        (Query(text="content"), []),
        (Query(text="role"), [5]),
        (Query(text="nowhere"), []),
        (Query(max_characters=14), [3]),
        (Query(min_characters=27, max_characters=33), [1]),
    ],
)
def test_what_fits(version: VersionReader, query: Query, found: list[int]) -> None:
    assert numbers(version, query) == found


def test_what_statistics_know(version: VersionReader, tmp_path: Path) -> None:
    measure(version, None, tmp_path / "facts")
    facts = Facts(tmp_path / "facts")
    assert numbers(version, Query(having="duplicates"), facts) == [4]
    assert numbers(version, Query(having="duplicates", text="paris"), facts) == [4]
    assert numbers(version, Query(having="duplicates", text="tokyo"), facts) == []
    assert numbers(version, Query(having="short_answers"), facts) == [3]
    assert numbers(version, Query(language="ja"), facts) == [3]
    assert numbers(version, Query(min_characters=27, max_characters=33), facts) == [1]


def test_a_search_that_was_interrupted_goes_on(tmp_path: Path) -> None:
    rows = [Text(f"row {number} {'seven' if number % 7 == 0 else ''}") for number in range(5000)]
    search = Search(keep(blobs_in(tmp_path), rows, "text"), Query(text="SEVEN"))
    steps = 0
    while not search.complete:
        before = search.searched
        search.go_on(0)
        assert search.searched > before or search.complete
        steps += 1
    assert list(search.found) == list(range(0, 5000, 7))
    assert steps > 3


def test_a_hundred_thousand_rows(tmp_path: Path, real_rows: Callable[[str], Path]) -> None:
    records = orjson.loads(real_rows("alpaca_en_demo.json").read_bytes())
    some = [talk(f"user: {one['instruction']}", f"assistant: {one['output']}") for one in records]
    version = keep(blobs_in(tmp_path), [some[number % len(some)] for number in range(100_000)])
    fitting = [
        number
        for number, row in enumerate(some)
        if any("planet" in turn.text.lower() for turn in row.messages)
    ]
    began = time.process_time()
    found = numbers(version, Query(text="Planet"))
    assert time.process_time() - began < 4, "half a second on an idle machine"
    assert found == [number for number in range(100_000) if number % len(some) in set(fitting)]
    assert fitting
