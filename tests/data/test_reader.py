"""Reading: every row comes out with its place, whatever the bytes and however they arrive."""

import json
import tracemalloc
from collections.abc import Iterator
from itertools import pairwise

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tunery.core.errors import Problem
from tunery.data import reader
from tunery.data.block import Record
from tunery.data.reader import read_records

GOOD = b'{"text": "fine"}'
values = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text('ab:"\\}', max_size=3), inner, max_size=3)
    ),
    max_leaves=6,
)
records = st.dictionaries(st.text("abc:", min_size=1, max_size=4), values, max_size=4)

places = st.lists(st.integers(0, 9999))


def read(content: bytes, name: str, cuts: list[int] | None = None, longest: int = 1 << 20) -> list[Record]:
    """All records of bytes that arrive in parts cut at `cuts`."""
    borders = sorted({0, len(content), *(cut % (len(content) + 1) for cut in cuts or [])})
    parts = [content[a:b] for a, b in pairwise(borders)]
    return list(read_records(parts, name, longest=longest))


def outcome(content: bytes, name: str, cuts: list[int] | None = None, longest: int = 1 << 20) -> object:
    """Records or the Problem, in a form to compare."""
    try:
        found = read(content, name, cuts, longest)
    except Problem as problem:
        return problem.as_dict()
    return [(r.row, r.line, r.offset, r.raw, r.value, r.error and (r.error.rule, r.error.fix)) for r in found]


def rules(content: bytes, name: str = "a.jsonl") -> list[str | None]:
    return [record.error.rule if record.error else None for record in read(content, name)]


@settings(max_examples=150, deadline=None)
@given(
    rows=st.lists(records, max_size=6),
    indent=st.sampled_from([None, 1]),
    ascii=st.booleans(),
    cuts=st.lists(st.integers(0, 9999)),
)
def test_an_array_gives_its_elements_however_it_arrives(
    rows: list[dict[str, object]], indent: int | None, ascii: bool, cuts: list[int]
) -> None:
    content = json.dumps(rows, indent=indent, ensure_ascii=ascii).encode()
    found = read(content, "a.json", cuts)
    judged = [record for record in found if record.error is None]
    assert [record.value for record in judged] == [row for row in rows if not holds_nul(row)]
    assert len(found) == len(rows)
    for record in found:
        assert content[record.offset : record.offset + len(record.raw)] == record.raw
        assert record.line == 1 + content[: record.offset].count(b"\n")


@settings(max_examples=150, deadline=None)
@given(
    rows=st.lists(records, max_size=6),
    end=st.sampled_from([b"\n", b"\r\n", b"\n\n \n"]),
    cuts=st.lists(st.integers(0, 9999)),
)
def test_lines_give_their_rows_however_they_arrive(
    rows: list[dict[str, object]], end: bytes, cuts: list[int]
) -> None:
    content = end.join(map(orjson.dumps, rows))
    found = read(content, "a.jsonl", cuts)
    assert [r.value for r in found if r.error is None] == [row for row in rows if not holds_nul(row)]
    assert [record.row for record in found] == list(range(1, len(rows) + 1))
    for record in found:
        assert content[record.offset :].startswith(record.raw)
        assert record.line == 1 + content[: record.offset].count(b"\n")


@settings(max_examples=300, deadline=None)
@given(
    content=st.lists(
        st.sampled_from(
            [b"[", b"]", b"{", b"}", b'"', b"\\", b",", b":", b" ", b"\n", b'"a"', b'{"a": 1}', b"1", b"null", b"\xff",
             b'{"data": [', b'{"messages": [', b"\xef\xbb\xbf", b"NaN", b'"\\u00e9"']
        ),
        max_size=14,
    ).map(b"".join),
    name=st.sampled_from(["a.json", "a.jsonl", "a.txt"]),
    cuts=st.lists(st.integers(0, 99), max_size=20),
    longest=st.sampled_from([4, 1 << 20]),
)  # fmt: skip
def test_any_bytes_give_the_same_however_they_arrive(
    content: bytes, name: str, cuts: list[int], longest: int
) -> None:
    assert outcome(content, name, cuts, longest) == outcome(content, name, [], longest)


def holds_nul(value: object) -> bool:
    return "\\u0000" in json.dumps(value).replace("\\\\", "")


@pytest.mark.parametrize(
    ("bad", "rule"),
    [
        (b'{"text": "fi', "invalid_json"),
        (b'{"text": nul}', "invalid_json"),
        (b'{"text": NaN}', "not_a_number"),
        (b'{"text": -Infinity}', "not_a_number"),
        (b'{"text": "\xff\xfe"}', "invalid_utf8"),
        (b'{"text": "\\ud800"}', "lone_surrogate"),
        (b'{"text": "\\udc00 x"}', "lone_surrogate"),
        (b'{"text": "a", "text": "b"}', "duplicate_key"),
        (b'{"text" : "a", "text":"b"}', "duplicate_key"),
        (b'{"a": {"x": 1, "y": 2, "x": 3}}', "duplicate_key"),
        (b'{"text": "a\\u0000b"}', "nul_character"),
        (b'{"text": "a\x00b"}', "nul_character"),
        (b'{"text": "a\tb"}', "control_character"),
        (b'{"text": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", "nesting_too_deep"),
    ],
)
def test_a_bad_line_costs_one_row_and_says_why(bad: bytes, rule: str) -> None:
    found = read(b"\n".join([GOOD] * 200 + [bad] + [GOOD] * 200), "a.jsonl")
    assert [record.row for record in found if record.error] == [201]
    refused = found[200]
    assert refused.error is not None
    assert refused.error.rule == rule
    assert refused.error.fix
    assert (refused.line, refused.offset, refused.raw) == (201, 200 * (len(GOOD) + 1), bad)
    if rule != "invalid_json":
        in_array = read(b"[" + b",\n".join([GOOD, bad, GOOD]) + b"]", "a.json")
        assert [record.error.rule if record.error else None for record in in_array] == [None, rule, None]


def test_colons_and_escapes_in_content_are_no_repeated_keys() -> None:
    rows = [{"a": '":":":', "b": ": :"}, {'k":': 'v\\":', "c": {"a": 1, "b": [{"a": '"'}]}}, {"\\": "\\\\"}]
    assert rules(b"\n".join(map(orjson.dumps, rows))) == [None] * 3
    assert rules(b'{"a" : 1, "b"\t: ": "}') == [None]
    assert rules(b'{"a": "\\\\u0000 is no NUL"}') == [None]


def test_odd_rows_are_values_too() -> None:
    many = {f"key{number}": number for number in range(50_000)}
    assert read(orjson.dumps(many), "a.jsonl")[0].value == many
    assert [record.value for record in read(b'[1, null, "x" , [2], -1.5e3]', "a.json")] == [
        1,
        None,
        "x",
        [2],
        -1500,
    ]


@pytest.mark.parametrize(
    ("content", "line", "offset", "rows"),
    [
        (b'[{"a": 1},\n{"a": 2},\n{"a', 3, 24, 2),
        (b'[{"a": 1},\n{"a": 2]\n]', 2, 18, 1),
        (b'[{"a": 1}\n{"a": 2}]', 2, 10, 1),
        (b'[{"a": 1},\n]', 2, 11, 1),
        (b'[{"a": 1}] x', 1, 12, 1),
        (b"[", 1, 1, 0),
        (b'{"rows": [{"a": 1}, {"a": 2}], "n": }', 1, 37, 2),
    ],
)
def test_a_broken_array_is_named_with_its_place(content: bytes, line: int, offset: int, rows: int) -> None:
    with pytest.raises(Problem) as problem:
        read(content, "a.json")
    assert problem.value.code == "json_broken"
    params = problem.value.params
    assert (params["line"], params["offset"], params["rows"]) == (line, offset, rows)
    assert str(line) in problem.value.message


def test_containers_are_told_by_content() -> None:
    rows = [{"a": 1}, {"a": 2}]
    lines = b"\n".join(map(orjson.dumps, rows))
    wrapped = orjson.dumps({"version": "1", "tags": ["x"], "data": rows, "n": 2})
    for content, name in [
        (lines, "a.jsonl"),
        (lines, "a.json"),
        (orjson.dumps(rows), "a.json"),
        (orjson.dumps(rows), "a.jsonl"),
        (orjson.dumps(rows, option=orjson.OPT_INDENT_2), "a.jsonl"),
        (wrapped, "a.json"),
        (json.dumps({"data": rows}, indent=2).encode(), "A.JSON"),
        (b"\xef\xbb\xbf" + lines, "a.jsonl"),
        (b"\xef\xbb\xbf \n" + orjson.dumps(rows), "a.json"),
    ]:
        found = read(content, name)
        assert [record.value for record in found] == rows, content
        assert all(content[r.offset :].startswith(r.raw) for r in found)


def test_an_object_with_turns_is_one_row() -> None:
    row = {"messages": [{"role": "user", "content": "x"}], "more": [{"a": 1}]}
    found = read(json.dumps(row, indent=1).encode(), "a.json", [3, 9, 30])
    assert [(record.value, record.line, record.offset) for record in found] == [(row, 1, 0)]


def test_two_lists_are_refused() -> None:
    with pytest.raises(Problem, match="more than one list") as problem:
        read(b'{"train": [{"a": 1}], "test": [{"a": 2}]}', "a.json")
    assert problem.value.code == "file_unreadable"


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32"])
def test_other_unicode_is_refused_in_words(encoding: str) -> None:
    with pytest.raises(Problem, match="save it as UTF-8"):
        read(GOOD.decode().encode(encoding), "a.jsonl")


@pytest.mark.parametrize("encoding", ["latin-1", "shift-jis", "gb18030"])
def test_old_encodings_are_refused_row_by_row(encoding: str) -> None:
    text = {"latin-1": "Grüße", "shift-jis": "日本語", "gb18030": "中文"}[encoding]
    assert rules(b'{"text": "' + text.encode(encoding) + b'"}\n' + GOOD) == ["invalid_utf8", None]
    assert rules(text.encode(encoding), "a.txt") == ["invalid_utf8"]


def test_a_text_file_is_one_record() -> None:
    assert read("Grüße\r\n\n日本".encode(), "a.txt", [2, 3, 4])[0].value == {"text": "Grüße\r\n\n日本"}
    assert rules(b"ab\0c", "a.txt") == ["nul_character"]
    assert read(b"", "a.txt") == read(b"", "a.json") == read(b" \n", "a.jsonl") == []


def endless(start: bytes, end: bytes, megabytes: int) -> Iterator[bytes]:
    yield start
    for _ in range(megabytes):
        yield b"x" * (1 << 20)
    yield end


@pytest.mark.parametrize("name", ["a.jsonl", "a.json", "a.txt"])
def test_a_row_without_end_is_never_held(name: str) -> None:
    before, after = {
        "a.jsonl": (GOOD + b'\n{"text": "', b'"}\n' + GOOD),
        "a.json": (b"[" + GOOD + b',{"text": "', b'"},' + GOOD + b"]"),
        "a.txt": (b"", b""),
    }[name]
    tracemalloc.start()
    found = list(read_records(endless(before, after, 100), name, longest=4 << 20))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    expected = ["row_too_long"] if name == "a.txt" else [None, "row_too_long", None]
    assert [record.error.rule if record.error else None for record in found] == expected
    assert peak < 30 << 20
    assert all(len(record.raw) <= 200 for record in found)


@pytest.mark.parametrize("name", ["a.jsonl", "a.json"])
def test_memory_does_not_grow_with_the_file(name: str) -> None:
    def content() -> Iterator[bytes]:
        yield b"[" + GOOD if name == "a.json" else GOOD
        for _ in range(12):
            yield ((b",\n" if name == "a.json" else b"\n") + b'{"text": "' + b"x" * 1000 + b'"}') * 1000
        yield b"]" if name == "a.json" else b""

    tracemalloc.start()
    count = sum(1 for _ in read_records(content(), name))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert count == 12_001
    assert peak < 6 * reader.CHUNK
