"""The short way: whatever a row's bytes are, it ends as it would have ended on the careful way."""

import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tunery.data import check, splitter
from tunery.data.block import GuessedBlock
from tunery.data.check import check_file
from tunery.data.formats.point import FORMATS, quick_of
from tunery.data.quick import QuickReader
from tunery.data.reader import read_blocks, read_records
from tunery.data.record import parse
from tunery.data.repeats import Repeats
from tunery.data.rows import RowError, characters, encode_row
from tunery.schemas.dataset import CheckReport

QUICK = [name for name, format in FORMATS.all() if quick_of(format)]
PLAIN: dict[str, list[Any]] = {
    "alpaca": [
        {"instruction": "a", "input": "", "output": 'b "quoted" é😀', "id": 3},
        {"instruction": "", "input": "x", "output": "b", "system": None, "history": [], "source": "web", "score": 0.5},
        {"instruction": "a", "output": "b", "system": "s", "history": [["c", "d"]]},
    ],
    "corpus": [{"text": "Hello: \\ \" \n"}, {"text": "a", "url": "http://x", "meta": None, "n": -7}],
    "messages": [
        {"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": '"b":'}], "id": "x\"y"},
        {"messages": [{"role": "system", "content": "s"}, {"role": "human", "content": "a"},
                      {"role": "model", "content": "b"}], "tools": None},
        {"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b", "name": "x"}]},
    ],
    "sharegpt": [
        {"conversations": [{"from": "human", "value": "a"}, {"from": "gpt", "value": "b"}], "system": "s"},
        {"id": "1", "conversations": [{"value": "a", "from": "user"}, {"from": "bard", "value": "b"}], "tools": None},
        {"conversations": [{"from": "Human", "value": "a"}, {"from": "gpt", "value": "b"}], "tools": "[]"},
    ],
}  # fmt: skip
BITS = [
    b'"', b"\\", b"\\u0022", b"\\u0000", b"\\u00e9", b"\\ud83d\\ude00", b"\\ud800", b"\\/", b"\\n", b"\n", b"\x00",
    b"\xff", b"\xc3\xa9", b"\xed\xa0\x80", b",", b":", b"{", b"}", b"[", b"]", b" ", b"NaN", b"1e999", b"9" * 400,
    b'"text": "x",', b'"role":"user",', b'"id":1,', b'"\\u0069d": 2,', b'"output" : "c",', b"null", b"true", b"-0",
]  # fmt: skip


def careful(name: str, raw: bytes) -> tuple[bytes, int] | None:
    """What the careful way makes of a row."""
    value, error = parse(raw)
    if error is not None:
        return None
    try:
        row = FORMATS.load(name).read(value)
    except RowError:
        return None
    return encode_row(row), characters(row)


def reader(name: str) -> QuickReader:
    quick = quick_of(FORMATS.load(name))
    assert quick is not None
    return QuickReader(quick, PLAIN[name])


@pytest.mark.parametrize("name", QUICK)
def test_plain_rows_go_the_short_way(name: str) -> None:
    quick = reader(name)
    for record in PLAIN[name][:2]:
        for raw in (orjson.dumps(record), json.dumps(record).encode(), json.dumps(record, indent=3).encode()):
            assert quick.read([raw]) == tuple(map(list, zip(*[careful(name, raw) or ()], strict=True)))
    odd = orjson.dumps(PLAIN[name][-1])
    lines, sizes = quick.read([odd])
    assert (lines, sizes) == ([None], [0]) or (lines[0], sizes[0]) == careful(name, odd)


@pytest.mark.parametrize("name", QUICK)
def test_repeated_keys_are_never_overlooked(name: str) -> None:
    quick = reader(name)
    for record in PLAIN[name][:2]:
        raw = orjson.dumps(record)
        for key in record:
            again = orjson.dumps(key) + b":" + orjson.dumps(record[key]) + b","
            spaced = json.dumps(key).encode() + b"  :\t" + json.dumps(record[key]).encode() + b" , "
            escaped = b'"\\u%04x' % ord(key[0]) + key[1:].encode() + b'":null,'
            for extra in (again, spaced, escaped):
                doubled = b"{" + extra + raw[1:]
                assert quick.read([doubled])[0] == [None], doubled
                assert careful(name, doubled) is None


def test_escaped_quotes_make_no_room_for_a_repeated_key() -> None:
    raw = b'{"text": "\\u0022\\u0022\\u0022\\u0022", "text": "\\u0022\\u0022\\u0022\\u0022"}'
    assert reader("corpus").read([raw])[0] == [None]
    assert careful("corpus", raw) is None


@settings(max_examples=400, deadline=None)
@given(
    name=st.sampled_from(QUICK),
    number=st.integers(0, 2),
    layout=st.sampled_from(["compact", "spaced", "ascii", "pretty"]),
    changes=st.lists(st.tuples(st.integers(0, 10_000), st.sampled_from(BITS), st.integers(0, 3)), max_size=3),
)
def test_both_ways_end_alike(
    name: str, number: int, layout: str, changes: list[tuple[int, bytes, int]]
) -> None:
    record = PLAIN[name][number % len(PLAIN[name])]
    raw = {
        "compact": orjson.dumps(record),
        "spaced": json.dumps(record, ensure_ascii=False).encode(),
        "ascii": json.dumps(record).encode(),
        "pretty": json.dumps(record, indent=2).encode(),
    }[layout]
    for place, bit, dropped in changes:
        at = place % (len(raw) + 1)
        raw = raw[:at] + bit + raw[at + dropped :]
    lines, sizes = reader(name).read([raw])
    if lines[0] is not None:
        assert (lines[0], sizes[0]) == careful(name, raw), raw


def with_and_without(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> tuple[CheckReport, CheckReport, list[bytes]]:
    """Two reports of one file, and the rows, which must be the same."""
    taken: list[list[bytes]] = [[], []]
    bad: list[list[bytes]] = [[], []]
    reports = []
    for number in range(2):
        with monkeypatch.context() as patch:
            if number:
                patch.setattr(check, "quick_of", lambda format: None)
                patch.setattr(splitter.ArraySplitter, "_learn_border", lambda self, start: None)
            rows, refused = taken[number], bad[number]
            report = check_file(path, on_rows=lambda lines, _, r=rows: r.extend(lines), on_bad=refused.append)
        reports.append(report.model_copy(update={"seconds": 0}))
    assert taken[0] == taken[1]
    assert bad[0] == bad[1]
    return reports[0], reports[1], taken[0]


@pytest.mark.parametrize("layout", ["lines", "pretty", "compact", "spaced", "wrapped"])
@pytest.mark.parametrize("seed", range(6))
def test_files_end_alike_either_way(
    layout: str, seed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    draw = random.Random(seed)
    name = draw.choice(QUICK)
    rows: list[Any] = [
        dict(draw.choice(PLAIN[name]), number=number) for number in range(draw.randrange(200, 900))
    ]
    for _ in range(draw.randrange(8)):
        wrong = draw.choice([None, 3, {}, {"messages": []}, "x", [1], {"text": "}, {"}, {"text": "\x00"}])
        rows[draw.randrange(100, len(rows))] = wrong
    content = {
        "lines": lambda: b"\n".join(map(orjson.dumps, rows)),
        "pretty": lambda: json.dumps(rows, indent=2).encode(),
        "compact": lambda: orjson.dumps(rows),
        "spaced": lambda: json.dumps(rows, ensure_ascii=False).encode(),
        "wrapped": lambda: json.dumps({"version": 1, "rows": rows, "n": 3}, indent=1).encode(),
    }[layout]()
    path = tmp_path / "rows.json"
    path.write_bytes(content)
    with monkeypatch.context() as patch:
        patch.setattr("tunery.data.unpack.CHUNK", draw.choice([1 << 20, 40_000]))
        quick, slow, taken = with_and_without(path, monkeypatch)
    assert quick == slow
    assert quick.rows_read == len(rows)
    assert len(taken) == quick.rows_accepted


def test_guesses_are_made_and_wrong_ones_put_right() -> None:
    rows = [{"text": f"row {number}", "more": [{"text": "}, {"}]} for number in range(3000)]
    rows[1500] = {"else": 1, "text": "its first key is another"}  # type: ignore[assignment]
    content = orjson.dumps(rows)
    parts = [content[at : at + 20_000] for at in range(0, len(content), 20_000)]
    blocks = [type(block) for block in read_blocks(iter(parts), "a.json")]
    assert GuessedBlock in blocks
    found = list(read_records(iter(parts), "a.json"))
    assert [record.value for record in found] == rows
    assert [record.row for record in found] == list(range(1, 3001))
    assert all(content[record.offset :].startswith(record.raw) for record in found)


def test_repeats_are_counted_in_memory_and_on_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    def lines() -> Iterator[bytes]:
        yield from (b"row %d" % (number % 700) for number in range(1000))

    for held in (1 << 20, 64):
        monkeypatch.setattr("tunery.data.repeats.HELD", held)
        repeats = Repeats()
        for line in lines():
            repeats.add([line])
        assert repeats.count() == 300
        repeats.close()
