"""The short way: whatever a row's bytes are, it ends as it would have ended on the careful way."""

import json
import random
import sys
from array import array
from dataclasses import replace
from itertools import accumulate
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.data.mangle import BITS, LAYOUTS, PLAIN, careful, mangled, rows_alike, short, taken_of
from tunery.data import native
from tunery.data.check import check_file
from tunery.data.content import Lines
from tunery.data.formats.point import FORMATS, quick_of
from tunery.data.reader import read_blocks, read_records
from tunery.data.repeats import Repeats
from tunery.data.rows import Text, encode_row
from tunery.schemas.check import CheckReport

QUICK = [name for name, format in FORMATS.all() if quick_of(format)]


def test_the_compiled_part_was_built() -> None:
    """Without it nothing below would be tested. `python tools/compiler.py`, then `make setup`, brings it."""
    assert native.COMPILED is not None
    assert set(PLAIN) == set(QUICK), "give rows of every format that has a short way"


@pytest.mark.parametrize("name", QUICK)
def test_plain_rows_go_the_short_way(name: str) -> None:
    for record in PLAIN[name][:2]:
        for raw in (orjson.dumps(record), json.dumps(record).encode(), json.dumps(record, indent=3).encode()):
            assert short(name, [raw]) == [careful(name, raw)] != [None]


def test_answers_go_the_short_way_however_they_are_written() -> None:
    for name, count in (("kto", 4), ("preference", 5)):
        for record in PLAIN[name][:count]:
            raw = orjson.dumps(record)
            assert short(name, [raw]) == [careful(name, raw)] != [None], raw
        assert None in short(name, [orjson.dumps(record) for record in PLAIN[name][count:]])


@pytest.mark.parametrize("name", QUICK)
def test_repeated_keys_are_never_overlooked(name: str) -> None:
    for record in PLAIN[name][:2]:
        raw = orjson.dumps(record)
        for key in record:
            again = orjson.dumps(key) + b":" + orjson.dumps(record[key]) + b","
            spaced = json.dumps(key).encode() + b"  :\t" + json.dumps(record[key]).encode() + b" , "
            escaped = b'"\\u%04x' % ord(key[0]) + key[1:].encode() + b'":null,'
            for extra in (again, spaced, escaped):
                doubled = b"{" + extra + raw[1:]
                assert short(name, [doubled]) == [None] == [careful(name, doubled)], doubled
    deep = b'{"extra": [{"a": {"b": 1, "c": 2, "b": 3}}], ' + orjson.dumps(PLAIN[name][0])[1:]
    assert short(name, [deep]) == [None] == [careful(name, deep)]


@settings(max_examples=600, deadline=None)
@given(
    name=st.sampled_from(QUICK),
    number=st.integers(0, 10),
    layout=st.sampled_from(LAYOUTS),
    changes=st.lists(st.tuples(st.integers(0, 10_000), st.sampled_from(BITS), st.integers(0, 3)), max_size=3),
)
@example("corpus", 0, "compact", [(2, b'"text": "x",', 0)])
def test_both_ways_end_alike(
    name: str, number: int, layout: str, changes: list[tuple[int, bytes, int]]
) -> None:
    raw = mangled(PLAIN[name][number % len(PLAIN[name])], layout, changes)
    rows_alike(name, [raw])


@settings(max_examples=300, deadline=None)
@given(name=st.sampled_from(QUICK), field=st.integers(0, 5), value=st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3), max_leaves=8,
))  # fmt: skip
def test_any_value_in_any_field_ends_alike(name: str, field: int, value: Any) -> None:
    record = dict(PLAIN[name][0])
    known = [*record, "system", "tools", "images", "history", "input", "other"]
    record[known[field % len(known)]] = value
    rows_alike(
        name,
        [
            json.dumps(record).encode(),
            json.dumps(record, ensure_ascii=False).encode("utf-8", "surrogatepass"),
        ],
    )


def test_every_character_raw_and_escaped() -> None:
    """Content that is nothing but white space is the one case left to the careful way."""
    shown = "".join(chr(code) for code in range(1, 0x3100) if chr(code).isprintable())
    alone = 0
    for start in range(0, sys.maxunicode + 1, 512):
        raws = []
        for code in range(start, start + 512):
            if code < 0x3400 or code % 61 == 0:
                spelled = [
                    chr(code).encode("utf-8", "surrogatepass"),
                    b"\\u%04x" % code if code < 0x10000 else b"",
                ]
                if code >= 0x10000:
                    high, low = divmod(code - 0x10000, 1 << 10)
                    spelled[1] = b"\\u%04X\\u%04x" % (0xD800 + high, 0xDC00 + low)
                raws += [b'{"text":"%s"}' % one for one in spelled] + [
                    b'{"text":"a%sb"}' % one for one in spelled
                ]
        alone += sum(found is not None for found in rows_alike("corpus", raws))
    assert alone > 50_000
    assert short("corpus", [orjson.dumps({"text": shown})]) == [
        careful("corpus", orjson.dumps({"text": shown}))
    ]


def test_every_byte_at_every_place_of_a_long_text() -> None:
    """Texts are looked through sixteen bytes at a time."""
    words = b"forty letters and no more than these here"
    raws = [
        b'{"text":"' + words[:at] + bytes([byte]) + words[at + 1 :] + b'"}'
        for byte in (*range(0x24), 0x5C, 0x7F, 0x80, 0xC3, 0xE2, 0xF0, 0xFF)
        for at in range(len(words))
    ]
    assert short("corpus", raws) == [careful("corpus", raw) for raw in raws]


@pytest.mark.parametrize("seed", range(4))
def test_every_broken_sequence_of_bytes(seed: int) -> None:
    draw = random.Random(seed)
    edges = [0x22, 0x5C, 0x7F, 0x80, 0x8F, 0x90, 0x9F, 0xA0, 0xBF, 0xC0, 0xC1, 0xC2, 0xDF, 0xE0, 0xE1, 0xEC, 0xED, 0xEE,
             0xEF, 0xF0, 0xF1, 0xF3, 0xF4, 0xF5, 0xFF, 0x00, 0x1F, 0x20, 0x41]  # fmt: skip
    raws = [
        b'{"text":"a' + bytes(draw.choice(edges) for _ in range(draw.randrange(1, 7))) + b'z"}'
        for _ in range(4000)
    ]
    rows_alike("corpus", raws)


@settings(max_examples=300, deadline=None)
@given(
    st.lists(
        st.sampled_from(
            [b"\n", b"\r", b" ", b"\t", b"\x0b", b"\x1c", b"\x00", b"a", b"{}", b'"\\n"', b"\xc2\x85"]
        )
    )
)
def test_lines_are_split_alike(parts: list[bytes]) -> None:
    data = b"".join(parts)
    compiled = native.split_lines(data)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(native, "COMPILED", None)
        plain = native.split_lines(data)
    assert (list(compiled[0]), *compiled[1:]) == (list(plain[0]), *plain[1:])


ELEMENT = st.recursive(
    st.sampled_from([1, None, "x", 'q"', "}", "]", "{[", "\\", 'a\\"', "é", "\n"]),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(["k", "}", '"', "\\"]), inner)
    ),
    max_leaves=12,
)


@settings(max_examples=300, deadline=None)
@given(
    elements=st.lists(
        st.dictionaries(st.sampled_from(["a", "{", '"']), ELEMENT, max_size=3) | ELEMENT, max_size=12
    ),
    layout=st.sampled_from(["compact", "spaced", "pretty"]),
    changes=st.lists(st.tuples(st.integers(0, 10_000), st.sampled_from(BITS), st.integers(0, 3)), max_size=2),
    size=st.integers(1, 400),
    longest=st.sampled_from([20, 1 << 20]),
)
def test_lists_are_split_alike(
    elements: list[Any], layout: str, changes: list[tuple[int, bytes, int]], size: int, longest: int
) -> None:
    data = mangled(elements, layout, changes)
    chunks = [data[at : at + size] for at in range(0, len(data), size)]

    def found() -> tuple[list[Any], object]:
        records = []
        try:
            for record in read_records(iter(chunks), "a.json", longest=longest):
                records.append((*record[:4], record.error and record.error.rule))
        except Exception as problem:
            return records, repr(problem)
        return records, None

    compiled = found()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(native, "COMPILED", None)
        assert found() == compiled


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
                patch.setattr(native, "COMPILED", None)
            rows, refused = taken[number], bad[number]
            report = check_file(path, on_rows=lambda lines, _, r=rows: r.extend(lines), on_bad=refused.append)
        reports.append(replace(report, seconds=0))
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
        patch.setattr("tunery.data.chunks.CHUNK", draw.choice([1 << 20, 40_000]))
        quick, slow, taken = with_and_without(path, monkeypatch)
    assert quick == slow
    assert quick.rows_read == len(rows)
    assert len(taken) == quick.rows_accepted


def test_elements_are_told_apart_by_compiled_code() -> None:
    rows = [{"text": f'row {number} }}, {{ "', "more": [{"text": "}, {"}]} for number in range(3000)]
    content = orjson.dumps(rows)
    parts = [content[at : at + 20_000] for at in range(0, len(content), 20_000)]
    assert max(map(len, read_blocks(iter(parts), "a.json"))) > 100
    found = list(read_records(iter(parts), "a.json"))
    assert [record.value for record in found] == rows
    assert [record.row for record in found] == list(range(1, 3001))
    assert all(content[record.offset :].startswith(record.raw) for record in found)


def test_rows_that_grow_find_room() -> None:
    """Short turns take more bytes in canonical form than in their file."""
    talk = [{"from": "human" if number % 2 == 0 else "gpt", "value": "x"} for number in range(250)]
    raws = [orjson.dumps({"conversations": talk}), orjson.dumps({"conversations": talk[:2]})] * 300
    taken = taken_of("sharegpt", raws)
    assert len(taken.text) > 1.5 * sum(map(len, raws))
    assert list(Lines(taken.text, taken.ends)) == [
        form[0] for raw in raws if (form := careful("sharegpt", raw))
    ]


def test_rows_are_told_apart_alike_on_both_ways() -> None:
    """A file may give the same row once plainly and once oddly spelled."""
    texts = [f"{number}" + "." * (number % 300) for number in range(1000)]
    plain = taken_of("corpus", [orjson.dumps({"text": text}) for text in texts])
    assert plain.left == 0
    assert plain.hashes == native.hash_rows(Lines.of([encode_row(Text(text)) for text in texts]))
    assert len(set(memoryview(plain.hashes).cast("Q"))) == len(texts)


HASHES = st.lists(st.sampled_from([0, 1, 1024, 2**63, 2**64 - 1]) | st.integers(0, 2**64 - 1))


@given(HASHES)
def test_hashes_are_parted_and_counted_alike(values: list[int]) -> None:
    hashes = array("Q", values).tobytes()

    def found() -> tuple[Any, ...]:
        parted, sizes = native.part_hashes(hashes, 8)
        return parted, list(sizes), native.count_repeats(hashes)

    compiled = found()
    assert sorted(memoryview(compiled[0]).cast("Q")) == sorted(values)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(native, "COMPILED", None)
        assert found() == compiled


@given(st.lists(st.integers(1, 900)), st.integers(1, 700))
def test_frames_are_closed_alike(sizes: list[int], full: int) -> None:
    ends = array("I", accumulate(sizes))
    compiled = list(native.full_frames(ends, full, 500))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(native, "COMPILED", None)
        assert list(native.full_frames(ends, full, 500)) == compiled
    assert (not compiled) == (sum(sizes) < full)


def test_repeats_are_counted_in_memory_and_on_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    for compiled in (native.COMPILED, None):
        monkeypatch.setattr(native, "COMPILED", compiled)
        for held in (1 << 20, 64):
            monkeypatch.setattr("tunery.data.repeats.HELD", held)
            repeats = Repeats()
            for number in range(0, 1000, 10):
                repeats.add(
                    native.hash_rows(
                        Lines.of([b"row %d" % (one % 700) for one in range(number, number + 10)])
                    )
                )
            assert repeats.count() == 300
            repeats.close()
