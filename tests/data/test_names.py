"""Columns and turns by the names a file uses; fixed rows in place of bad ones."""

import json
from pathlib import Path

import pytest

from tunery.core.errors import Problem
from tunery.data.check import check_file
from tunery.data.names import FileNames
from tunery.data.rows import Preference, Row, decode_row
from tunery.schemas.check import CheckReport
from tunery.schemas.file_options import FileOptions


def read(
    path: Path, fixes: dict[tuple[str, int], bytes] | None = None, **options: object
) -> tuple[CheckReport, list[Row], list[dict]]:
    said = FileOptions.model_validate(options)
    rows: list[Row] = []
    bad: list[dict] = []
    report = check_file(
        path,
        said.format,
        salvage=said.salvage,
        names=FileNames.of(said),
        fixes=fixes,
        on_rows=lambda lines, _: rows.extend(map(decode_row, lines)),
        on_bad=lambda line: bad.append(json.loads(line)),
    )
    assert report.rows_read == report.rows_accepted + report.rows_rejected == len(rows) + len(bad)
    return report, rows, bad


def write(path: Path, *rows: object) -> Path:
    path.write_text("".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows))
    return path


def said(row: Row) -> list[tuple[str, str]]:
    assert not isinstance(row, Preference)
    return [(message.role, message.text) for message in row.messages]  # pyright: ignore[reportAttributeAccessIssue]


@pytest.mark.parametrize("ending", ["jsonl", "csv", "json"])
def test_columns_are_read_as_the_fields_they_are_named(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"rows.{ending}"
    rows = [{"question": f"q{n}", "instruction": "not this", "reply": f"a{n}", "id": n} for n in range(3)]
    if ending == "csv":
        path.write_text(
            "question,instruction,reply,id\n" + "".join(f"q{n},not this,a{n},{n}\n" for n in range(3))
        )
    elif ending == "json":
        path.write_text(json.dumps(rows))
    else:
        write(path, *rows)
    with pytest.raises(Problem) as unknown:
        read(path)
    assert unknown.value.code == "format_unknown"
    assert unknown.value.params["fields"] == ["question", "instruction", "reply", "id"]
    report, found, _ = read(path, columns={"instruction": "question", "output": "reply"})
    assert (report.format, report.reason) == (
        "alpaca",
        "records have the fields instruction and output (3 of the first 3 records)",
    )
    assert report.fields == ["question", "instruction", "reply", "id"]
    assert [said(row) for row in found] == [[("user", f"q{n}"), ("assistant", f"a{n}")] for n in range(3)]


def test_a_column_that_no_row_has_is_named(tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", {"question": "q", "answer": "a"})
    with pytest.raises(Problem) as caught:
        read(path, columns={"instruction": "frage"})
    assert caught.value.code == "column_unknown"
    assert "frage" in caught.value.message
    assert "question, answer" in caught.value.cure


def test_a_row_without_the_column_is_told_which_column(tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", {"q": "1", "a": "2"}, {"a": "2"}, {"instruction": "1", "a": "2"})
    _, found, bad = read(path, columns={"instruction": "q", "output": "a"})
    assert [said(row)[0][1] for row in found] == ["1", "1"]
    assert (bad[0]["rule"], bad[0]["field"], bad[0]["row"]) == ("field_missing", "instruction", 2)
    assert "`q`" in bad[0]["fix"]


def test_turns_by_the_names_the_file_uses(tmp_path: Path) -> None:
    talk = [{"who": "K", "says": "Hi"}, {"who": "B", "says": "Hello"}]
    path = write(tmp_path / "a.jsonl", {"talk": talk}, {"talk": [{"who": "X", "says": "?"}]})
    _, (row,), (bad,) = read(
        path,
        columns={"conversations": "talk"},
        turns={"role": "who", "content": "says", "user": "K", "assistant": "B"},
    )
    assert said(row) == [("user", "Hi"), ("assistant", "Hello")]
    assert (bad["rule"], bad["excerpt"]) == ("unknown_role", "X")


def test_mended_rows_take_the_place_of_the_bad_ones(tmp_path: Path) -> None:
    good = {"instruction": "i", "output": "o"}
    path = write(tmp_path / "a.jsonl", good, '{"instruction": 3', good, {"instruction": "x", "output": ""})
    report, _, bad = read(path)
    assert [(row["row"], row["rule"]) for row in bad] == [(2, "invalid_json"), (4, "empty_answer")]
    fixed = {
        ("a.jsonl", 2): b'{"instruction": "three", "output": "3"}',
        ("a.jsonl", 4): b"{}",
        ("a.jsonl", 1): b"{}",
    }
    again, rows, still = read(path, fixed)
    assert (again.rows_read, again.rows_accepted, again.rows_rejected) == (report.rows_read, 3, 1)
    assert [said(row)[0][1] for row in rows] == ["i", "three", "i"]
    assert (still[0]["row"], still[0]["line"], still[0]["rule"], still[0]["text"]) == (
        4,
        4,
        "field_missing",
        "{}",
    )


def test_a_cut_off_row_can_be_mended_too(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text('[{"instruction": "1", "output": "1"}, {"instruction": "2", "out')
    _, rows, (bad,) = read(path, salvage=True)
    fixed = {(bad["file"], bad["row"]): b'{"instruction": "2", "output": "2"}'}
    report, rows, _ = read(path, fixed, salvage=True)
    assert (report.rows_rejected, [said(row)[1][1] for row in rows]) == (0, ["1", "2"])


def test_a_row_of_a_table_is_offered_as_json(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("instruction,output\nq,\nx,y,z\nq,a\n")
    report, _, (empty, ragged) = read(path)
    assert (empty["text"], json.loads(empty["as_json"])) == ("q,", {"instruction": "q", "output": ""})
    assert "as_json" not in ragged
    fixed = {("a.csv", empty["row"]): empty["as_json"].replace('""', '"a"').encode()}
    assert read(path, fixed)[0].rows_accepted == report.rows_accepted + 1 == 2
