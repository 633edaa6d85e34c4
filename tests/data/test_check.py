"""Checking a file: all rows accounted for, on hostile files as on real ones."""

import json
from collections.abc import Callable
from pathlib import Path

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tunery.core.errors import Problem
from tunery.data.check import check_file
from tunery.data.rows import Conversation, Labelled, Preference, Row, decode_row, encode_row

GOOD = b'{"instruction": "a", "input": "", "output": "b"}'


def write(folder: Path, content: bytes, name: str = "rows.jsonl") -> Path:
    path = folder / name
    path.write_bytes(content)
    return path


def test_real_alpaca(real_rows: Callable[[str], Path]) -> None:
    rows: list[Row] = []
    path = real_rows("alpaca_en_demo.json")
    report = check_file(path, on_rows=lambda lines, _: rows.extend(map(decode_row, lines)))
    assert (report.format, report.rows_read, report.rows_accepted, report.rows_rejected) == (
        "alpaca",
        999,
        999,
        0,
    )
    assert (report.duplicates, report.bytes) == (14, path.stat().st_size)
    records = orjson.loads(path.read_bytes())
    asked = [row.messages[0].text for row in rows if isinstance(row, Conversation)]
    bare = [record["instruction"] == text for record, text in zip(records, asked, strict=True)]
    assert sum(bare) == sum(not record["input"] for record in records) == 587


def test_real_corpus(real_rows: Callable[[str], Path]) -> None:
    report = check_file(real_rows("c4_demo.jsonl"))
    assert (report.format, report.rows_accepted, report.rows_rejected, report.duplicates) == (
        "corpus",
        300,
        0,
        0,
    )


def test_real_labelled_conversations(real_rows: Callable[[str], Path]) -> None:
    path = real_rows("kto_en_demo.json")
    rows: list[Row] = []
    report = check_file(path, on_rows=lambda lines, _: rows.extend(map(decode_row, lines)))
    assert (report.format, report.rows_read, report.rows_accepted) == ("kto", 300, 300)
    labels = [row.label for row in rows if isinstance(row, Labelled)]
    assert (labels.count(True), labels.count(False)) == (150, 150)


def test_real_preferences(real_rows: Callable[[str], Path]) -> None:
    rows: list[Row] = []
    path = real_rows("dpo_en_demo.json")
    report = check_file(path, on_rows=lambda lines, _: rows.extend(map(decode_row, lines)))
    assert (report.format, report.rows_read, report.rows_accepted) == ("preference", 300, 300)
    preferences = [row for row in rows if isinstance(row, Preference)]
    assert sum(row.messages[0].role == "system" for row in preferences) == 80
    records = orjson.loads(path.read_bytes())
    for row, record in zip(preferences, records, strict=True):
        assert (row.chosen.text, row.rejected.text) == (
            record["chosen"]["value"],
            record["rejected"]["value"],
        )


def test_every_bad_row_is_reported_and_set_aside(tmp_path: Path) -> None:
    bad = [b"{broken", b'{"instruction": "a", "output": ""}', b"3", b'{"instruction": "a", "output": "\xff"}']
    path = write(tmp_path, b"\n".join([GOOD, *bad, GOOD, b"", GOOD]))
    accepted: list[bytes] = []
    aside: list[bytes] = []
    report = check_file(
        path, on_rows=lambda lines, _: accepted.extend(lines), on_bad=aside.append, name="mine.jsonl"
    )
    assert (report.rows_read, report.rows_accepted, report.rows_rejected) == (7, 3, 4)
    assert report.problems_by_rule == {
        "invalid_json": 1,
        "empty_answer": 1,
        "not_an_object": 1,
        "invalid_utf8": 1,
    }
    assert [(p.line, p.row, p.rule, p.field) for p in report.problems] == [
        (2, 2, "invalid_json", None),
        (3, 3, "empty_answer", "output"),
        (4, 4, "not_an_object", None),
        (5, 5, "invalid_utf8", None),
    ]
    content = path.read_bytes()
    for problem, raw in zip(report.problems, bad, strict=True):
        assert content[problem.offset :].startswith(raw)
        assert problem.file == "mine.jsonl"
        assert problem.fix
        assert problem.excerpt
    assert len(accepted) == 3
    assert accepted == [encode_row(decode_row(line)) for line in accepted]
    quarantined = [orjson.loads(line) for line in aside]
    assert [entry["row"] for entry in quarantined] == [2, 3, 4, 5]
    assert [entry["text"] for entry in quarantined[:3]] == [raw.decode() for raw in bad[:3]]
    assert all(line.count(b"\n") == 1 for line in aside)


def test_late_change_of_type_loses_nothing(tmp_path: Path) -> None:
    rows: list[object] = [{"text": "x"}] * 1500 + [{"text": 5}, {"text": "y", "new": 1}]
    report = check_file(write(tmp_path, b"\n".join(map(orjson.dumps, rows))))
    assert (report.rows_accepted, report.rows_rejected, report.duplicates) == (1501, 1, 1499)


def test_a_hundred_problems_are_shown_and_all_are_counted(tmp_path: Path) -> None:
    report = check_file(write(tmp_path, b"\n".join([GOOD, *[b"{"] * 250])))
    assert len(report.problems) == 100
    assert report.problems_by_rule == {"invalid_json": 250}


def test_the_hash_is_of_content_alone(tmp_path: Path) -> None:
    rows = [{"instruction": "é", "output": "1"}, {"instruction": "b", "input": "", "output": "2"}]
    as_messages = [
        {
            "messages": [
                {"role": "user", "content": row["instruction"]},
                {"role": "assistant", "content": row["output"]},
            ]
        }
        for row in rows
    ]
    files = [
        write(tmp_path, b"\n".join(map(orjson.dumps, rows)), "a.jsonl"),
        write(tmp_path, json.dumps(rows, indent=3).encode(), "b.json"),
        write(tmp_path, b"\xef\xbb\xbf" + orjson.dumps({"data": rows}), "c.json"),
        write(tmp_path, orjson.dumps(as_messages), "d.json"),
    ]
    assert len({check_file(path).content_hash for path in files}) == 1
    other = write(tmp_path, orjson.dumps(rows[::-1]), "e.json")
    assert check_file(other).content_hash != check_file(files[0]).content_hash


@settings(max_examples=40, deadline=None)
@given(
    kinds=st.lists(
        st.sampled_from([GOOD, b"{", b"null", b'{"instruction": 1, "output": "x"}', b" "]), max_size=30
    )
)
def test_rows_read_are_accepted_or_rejected(
    tmp_path_factory: pytest.TempPathFactory, kinds: list[bytes]
) -> None:
    path = write(tmp_path_factory.mktemp("check"), b"\n".join([GOOD, *kinds]))
    aside: list[bytes] = []
    taken: list[bytes] = []
    report = check_file(path, on_bad=aside.append, on_rows=lambda lines, _: taken.extend(lines))
    assert report.rows_read == 1 + sum(kind != b" " for kind in kinds)
    assert report.rows_accepted == len(taken) == 1 + kinds.count(GOOD)
    assert report.rows_rejected == len(aside) == sum(report.problems_by_rule.values())


def test_plain_text(tmp_path: Path) -> None:
    rows: list[Row] = []
    report = check_file(
        write(tmp_path, b"Ein Buch.\n\nSeite 2", "a.txt"),
        on_rows=lambda lines, _: rows.extend(map(decode_row, lines)),
    )
    assert (report.format, report.reason, report.rows_accepted) == ("corpus", "it is a plain text file", 1)
    assert rows[0] == decode_row(b'{"kind":"text","text":"Ein Buch.\\n\\nSeite 2"}')
    assert check_file(write(tmp_path, b" \n", "b.txt")).problems_by_rule == {"empty_text": 1}


@pytest.mark.parametrize(
    ("name", "content", "code"),
    [
        ("a.jsonl", b"", "no_rows"),
        ("a.json", b"[]", "no_rows"),
        ("a.txt", b"", "no_rows"),
        ("a.jsonl", b"hello\nworld", "format_unknown"),
        ("a.json", b'[{"x": 1}]', "format_unknown"),
        ("a.json", b"[" + GOOD, "json_broken"),
        ("a.zip", b"PK\x03\x04abc", "file_unreadable"),
        ("a.jsonl", b"\xff\xfe{\x00", "file_unreadable"),
    ],
)
def test_files_that_are_no_data(tmp_path: Path, name: str, content: bytes, code: str) -> None:
    with pytest.raises(Problem) as problem:
        check_file(write(tmp_path, content, name))
    assert problem.value.code == code
    assert name in problem.value.message


def test_missing_and_unknown(tmp_path: Path) -> None:
    with pytest.raises(Problem) as problem:
        check_file(tmp_path / "none.jsonl")
    assert problem.value.code == "file_missing"
    with pytest.raises(Problem) as problem:
        check_file(tmp_path)
    assert problem.value.code == "file_unreadable"
    with pytest.raises(Problem) as problem:
        check_file(write(tmp_path, GOOD), "no-such-format")
    assert problem.value.code == "unknown_extension"


def test_progress_reaches_the_end(tmp_path: Path) -> None:
    path = write(tmp_path, b"\n".join([GOOD] * 60_000))
    told: list[tuple[int, int]] = []
    check_file(path, progress=lambda done, rows: told.append((done, rows)))
    assert told[-1][0] == path.stat().st_size
    assert told == sorted(told)
    assert told[-1][1] > 0


def test_a_list_that_is_cut_off_is_salvaged_on_request(tmp_path: Path) -> None:
    rows = [{"text": f"row {number}"} for number in range(500)]
    for content in (json.dumps(rows, indent=1).encode(), orjson.dumps(rows), orjson.dumps({"data": rows})):
        for cut in (len(content) - 3, len(content) * 2 // 3, content.rindex(b"{"), content.rindex(b",") + 1):
            path = write(tmp_path, content[:cut], "a.json")
            with pytest.raises(Problem) as problem:
                check_file(path)
            assert problem.value.code == "json_broken"
            taken: list[bytes] = []
            report = check_file(path, salvage=True, on_rows=lambda lines, _, taken=taken: taken.extend(lines))
            assert report.rows_accepted == problem.value.params["rows"] == len(taken)
            assert report.rows_read == report.rows_accepted + 1
            (bad,) = report.problems
            assert (bad.rule, bad.row) == ("cut_off", report.rows_read)
            assert bad.line == 1 + content[: bad.offset].count(b"\n")
            assert content[bad.offset : cut].strip() in content[max(0, cut - 40) : cut]
    assert check_file(write(tmp_path, content, "a.json"), salvage=True).rows_rejected == 0
    with pytest.raises(Problem, match="comma is missing"):
        check_file(write(tmp_path, b'[{"text": "a"} {"text": "b"}]', "a.json"), salvage=True)
