"""Containers: the same rows out of every one; what isn't taken is refused by its content, in words."""

import csv
import gzip
import io
import json
import random
import tarfile
import zipfile
from base64 import b64decode, b64encode
from itertools import pairwise
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from tunery.core.errors import Problem
from tunery.data.check import check_file
from tunery.data.unpack import read_rows
from tunery.schemas.check import CheckReport

RECORDS: dict[str, list[dict[str, Any]]] = {
    "alpaca": [{"instruction": f'Say "{n}",\nplease', "input": "", "output": f"é {n};"} for n in range(30)],
    "corpus": [{"text": f"Page {n}\nand more, of course"} for n in range(30)],
    "messages": [
        {"messages": [{"role": "user", "content": f"q{n}"}, {"role": "assistant", "content": '"a"'}]} for n in range(30)
    ],
    "sharegpt": [
        {"conversations": [{"from": "human", "value": f"q{n}"}, {"from": "gpt", "value": "a"}]} for n in range(30)
    ],
    "prompt_completion": [{"prompt": f"q{n}", "completion": "a, b"} for n in range(30)],
    "preference": [{"prompt": f"q{n}", "chosen": "good", "rejected": "bad"} for n in range(30)],
    "kto": [{"prompt": f"q{n}", "completion": "a", "label": n % 2 == 0} for n in range(30)],
}  # fmt: skip


def as_csv(records: list[dict[str, Any]], delimiter: str = ",") -> bytes:
    out = io.StringIO(newline="")
    writer = csv.writer(out, delimiter=delimiter)
    writer.writerow(records[0])
    for record in records:
        writer.writerow([cell if isinstance(cell, str) else json.dumps(cell) for cell in record.values()])
    return out.getvalue().encode()


def as_parquet(records: list[dict[str, Any]]) -> bytes:
    out = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(records), out, row_group_size=7)
    return out.getvalue()


def as_zip(files: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return out.getvalue()


def lines(records: list[Any]) -> bytes:
    return b"\n".join(map(orjson.dumps, records))


CONTAINERS = {
    "a.jsonl": lines,
    "a.json": lambda records: json.dumps(records, indent=2).encode(),
    "b.json": lambda records: json.dumps({"n": 1, "rows": records}).encode(),
    "a.csv": as_csv,
    "semicolons.csv": lambda records: as_csv(records, ";"),
    "tabs.tsv": lambda records: as_csv(records, "\t"),
    "bom.csv": lambda records: b"\xef\xbb\xbf" + as_csv(records),
    "a.parquet": as_parquet,
    "a.jsonl.gz": lambda records: gzip.compress(lines(records)),
    "two.gz": lambda records: gzip.compress(lines(records[:9]) + b"\n") + gzip.compress(lines(records[9:])),
    "a.json.zst": lambda records: zstandard.compress(orjson.dumps(records)),
    "two.zst": lambda records: zstandard.compress(lines(records[:9]) + b"\n") + zstandard.compress(lines(records[9:])),
    "a.csv.gz": lambda records: gzip.compress(as_csv(records)),
    "a.zip": lambda records: as_zip({"x/a.jsonl": lines(records[:10]), "b.json": orjson.dumps(records[10:20]),
                                     "c.csv": as_csv(records[20:]), "__MACOSX/._a": b"x", "x/.DS_Store": b"x"}),
    "stored.zip": lambda records: as_zip({"a.jsonl": lines(records)}, zipfile.ZIP_STORED),
}  # fmt: skip


def check(folder: Path, name: str, content: bytes, **more: Any) -> CheckReport:
    path = folder / "upload"
    path.write_bytes(content)
    return check_file(path, name=name, **more)


def refused(folder: Path, name: str, content: bytes, **more: Any) -> Problem:
    with pytest.raises(Problem) as caught:
        check(folder, name, content, **more)
    assert caught.value.code == "file_unreadable", caught.value
    assert sorted(path.name for path in folder.iterdir()) == ["upload"]
    return caught.value


@pytest.mark.parametrize("format", RECORDS)
@pytest.mark.parametrize("name", CONTAINERS)
def test_every_container_gives_the_same_rows(format: str, name: str, tmp_path: Path) -> None:
    records = RECORDS[format]
    content = CONTAINERS[name](records)
    expected = check(tmp_path, "a.jsonl", lines(records))
    found = check(tmp_path, name, content)
    assert (found.format, found.rows_accepted, found.rows_rejected) == (format, 30, 0)
    assert found.content_hash == expected.content_hash
    assert found.bytes == len(content)


IMAGE = b64encode(
    b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x01\0\0\0\x01\x08\0\0\0\0:~\x9bU\0\0\0\nIDATx\x9cc`\0\0\0\x02\0\x01H\xaf\xa4q"
    b"\0\0\0\0IEND\xaeB`\x82"
).decode()
PICTURE = f"data:image/png;base64,{IMAGE}"
WITH_IMAGES: dict[str, list[dict[str, Any]]] = {
    "sharegpt_image": [{**record, "image_path": PICTURE} for record in RECORDS["sharegpt"]],
    "prompt_image_response": [{"prompt": f"q{n}", "image": PICTURE, "response": "a"} for n in range(30)],
    "image_caption": [{"image": PICTURE, "caption": f"Page {n},\nof many"} for n in range(30)],
    "preference": [{**record, "image": PICTURE} for record in RECORDS["preference"]],
    "messages": [
        {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": PICTURE}},
                                                   {"type": "text", "text": f"q{n}"}]},
                      {"role": "assistant", "content": "a"}]} for n in range(30)
    ],
}  # fmt: skip


@pytest.mark.parametrize("format", WITH_IMAGES)
@pytest.mark.parametrize("name", CONTAINERS)
def test_every_container_gives_the_same_images(format: str, name: str, tmp_path: Path) -> None:
    records = WITH_IMAGES[format]
    if name.endswith("parquet") and format == "messages":
        # A column has one type: content is a list in every turn.
        answer = {"role": "assistant", "content": [{"type": "text", "text": "a"}]}
        records = [{"messages": [record["messages"][0], answer]} for record in records]
    expected = check(tmp_path, "a.jsonl", lines(records))
    found = check(tmp_path, name, CONTAINERS[name](records))
    assert (found.format, found.rows_accepted, found.images) == (format, 30, 30)
    assert found.content_hash == expected.content_hash
    packed = b64decode(IMAGE)
    named = as_zip(
        {"train.json": orjson.dumps(records).replace(PICTURE.encode(), b"i/one.png"), "i/one.png": packed}
    )
    assert check(tmp_path, "a.zip", named).content_hash == expected.content_hash


_FILES = st.sampled_from(
    [(form, name) for form in RECORDS for name in ("a.jsonl", "a.json", "b.json", "a.csv", "bom.csv")]
)


@settings(max_examples=150, deadline=None)
@given(file=_FILES, cuts=st.lists(st.integers(0, 10_000), max_size=40), broken=st.integers(0, 9))
def test_however_bytes_arrive_the_rows_are_the_same(
    file: tuple[str, str], cuts: list[int], broken: int
) -> None:
    form, name = file
    content = CONTAINERS[name](RECORDS[form])
    if broken:
        content = content.replace(b"7", b"\xff7").replace(b"9", b"\x009", 1).replace(b'"', b"", broken - 1)
    places = sorted({0, len(content), *(cut % len(content) for cut in cuts)})
    pieces = [content[start:end] for start, end in pairwise(places)]
    assert read_in(pieces, name) == read_in([content], name)


def read_in(pieces: list[bytes], name: str) -> tuple[list[Any], str]:
    """What a file gives whose bytes arrive in these pieces: records, and what it ended with."""
    found: list[Any] = []
    try:
        for label, block in read_rows(iter(pieces), name, name, salvage=False):
            for number in range(len(block)):
                record = block.record(number)
                rule = record.error and record.error.rule
                found.append(
                    (
                        label,
                        record.row,
                        record.line,
                        record.offset,
                        record.raw,
                        rule,
                        orjson.dumps(record.value),
                    )
                )
    except Problem as problem:
        return found, orjson.dumps(problem.as_dict()).decode()
    return found, "the end"


@pytest.mark.parametrize("size", [1, 3, 64, 4096])
def test_packed_files_read_in_any_pieces_give_the_same_rows(
    size: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = check(tmp_path, "a.jsonl", lines(RECORDS["messages"]))
    monkeypatch.setattr("tunery.data.unpack.CHUNK", size)
    for name in ("a.zip", "a.jsonl.gz", "two.zst", "a.csv.gz"):
        content = CONTAINERS[name](RECORDS["messages"])
        assert check(tmp_path, name, content).content_hash == expected.content_hash


def test_many_files_in_one_archive(tmp_path: Path) -> None:
    files = {f"part{n // 100}/{n:04}.jsonl": lines(RECORDS["alpaca"][:3]) for n in range(700)}
    report = check(tmp_path, "many.zip", as_zip(files))
    assert (report.format, report.rows_accepted, report.duplicates) == ("alpaca", 2100, 2097)
    books = {f"books/{n:04}.txt": f"Book {n}.\n\nOnce upon a time".encode() for n in range(900)}
    books["empty.txt"], books["blank.txt"] = b"", b" \n"
    report = check(tmp_path, "books.zip", as_zip(books))
    assert (report.format, report.rows_accepted, report.problems_by_rule) == (
        "corpus",
        900,
        {"empty_text": 1},
    )
    assert report.problems[0].file == "books.zip/blank.txt"


@pytest.mark.parametrize("name", CONTAINERS)
def test_content_tells_the_container_whatever_the_name(name: str, tmp_path: Path) -> None:
    content = CONTAINERS[name](RECORDS["alpaca"])
    # An object on one line of a .jsonl is a row.
    for wrong in ("data", "a.jsonl" if name != "b.json" else "x", "a.json", "A.ZIP", "a.parquet", "a.gz"):
        assert check(tmp_path, wrong, content).rows_accepted == 30


def test_text_files(tmp_path: Path) -> None:
    book = b"Ein Buch.\n\nSeite 2, und mehr"
    assert check(tmp_path, "a.txt.gz", gzip.compress(book)).rows_accepted == 1
    report = check(tmp_path, "books.zip", as_zip({"a.txt": book, "b/c.TXT": b"instruction,output\n1,2"}))
    assert (report.format, report.rows_accepted, report.duplicates) == ("corpus", 2, 0)


def test_problems_name_the_member_they_are_in(tmp_path: Path) -> None:
    good = orjson.dumps({"text": "x"})
    content = as_zip(
        {"one.jsonl": good + b"\n{broken\n" + good, "deep/two.csv": b"text,more\nx,y\nonly one\n"}
    )
    report = check(tmp_path, "all.zip", content)
    assert (report.rows_read, report.rows_accepted) == (5, 3)
    assert [(bad.file, bad.line, bad.row, bad.rule) for bad in report.problems] == [
        ("all.zip/one.jsonl", 2, 2, "invalid_json"),
        ("all.zip/deep/two.csv", 3, 2, "ragged_row"),
    ]


def test_tables_with_wrong_rows_lose_only_these(tmp_path: Path) -> None:
    content = (
        b'instruction,input,output\r\n'
        b'"a, ""quoted""\nand on",,b\r\n'
        b'too,few\r\n'
        b'a,b,c,d\r\n'
        b'\r\n'
        b'a,\xff,b\r\n'
        b'"opened and never closed,,b\r\n'
        b'5" disk,,b\r\n'
        b'"closed"too early,,b\r\n'
        b'a,nul\x00,b\r\n'
        b'last,,b'
    )  # fmt: skip
    bad: list[bytes] = []
    rows: list[bytes] = []
    report = check(tmp_path, "a.csv", content, on_bad=bad.append, on_rows=lambda more, _: rows.extend(more))
    found = [(one.line, one.row, one.rule) for one in report.problems]
    assert found == [
        (4, 2, "ragged_row"),
        (5, 3, "ragged_row"),
        (7, 4, "invalid_utf8"),
        (8, 5, "csv_broken"),
        (10, 7, "csv_broken"),
        (11, 8, "nul_character"),
    ]
    assert (report.rows_read, report.rows_accepted) == (9, 3)
    assert b'a, \\"quoted\\"\\nand on' in rows[0]
    assert b'5\\" disk' in rows[1]
    for one in report.problems:
        start = content[one.offset :].split(b"\r\n")[0].decode("utf-8", "replace")
        assert (
            one.excerpt.startswith(start[:5])
            or one.excerpt[:5] in ("2 cel", "4 cel")
            or "\ufffd" in one.excerpt
        )


@pytest.mark.parametrize("seed", range(20))
def test_tables_come_out_as_they_went_in(seed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    draw = random.Random(seed)
    signs = ['"', ",", ";", "\n", "\r\n", "\t", "é", "😀", "a", " ", "''", "=cmd|' /C calc'!A0"]
    records = [
        {"text": "x" + "".join(draw.choices(signs, k=draw.randrange(9))), "n": str(n)} for n in range(300)
    ]
    monkeypatch.setattr("tunery.data.unpack.CHUNK", draw.randrange(1, 400))
    expected = check(tmp_path, "a.jsonl", lines(records))
    assert expected.rows_accepted == 300
    assert check(tmp_path, "a.csv", as_csv(records)).content_hash == expected.content_hash


def test_tables_without_sense(tmp_path: Path) -> None:
    for content in (b"text,text\na,b", b"text,\na,b", b"t\xffxt,a\n", b'"text,a\nb,c'):
        assert "line" in refused(tmp_path, "a.csv", content).message
    with pytest.raises(Problem) as caught:
        check(tmp_path, "a.csv", b"instruction,output\n")
    assert caught.value.code == "no_rows"
    with pytest.raises(Problem) as caught:
        check(tmp_path, "a.jsonl", b"name,age\nx,3\n")
    assert caught.value.code == "format_unknown"


def test_parquet_that_another_library_wrote(tmp_path: Path) -> None:
    records: list[dict[str, Any]] = [
        {"messages": [{"role": "user", "content": "a", "tool_calls": None}, {"role": "assistant", "content": "b"}],
         "label": None, "when": 1},
        {"messages": [{"role": "user", "content": "a\0"}, {"role": "assistant", "content": "b"}], "label": None},
        {"messages": None, "label": None},
    ]  # fmt: skip
    report = check(tmp_path, "x", as_parquet(records))
    assert (report.format, report.rows_accepted) == ("messages", 1)
    assert [(bad.row, bad.line, bad.rule) for bad in report.problems] == [
        (2, 2, "nul_character"),
        (3, 3, "field_missing"),
    ]


def test_parquet_text_that_is_none_costs_its_row(tmp_path: Path) -> None:
    bytes_ = pa.array([b"fine", b"\xff\xfe", b"fine too"], pa.binary())
    text = pa.Array.from_buffers(pa.string(), 3, bytes_.buffers())
    out = io.BytesIO()
    pq.write_table(pa.table({"text": text}), out)
    report = check(tmp_path, "a.parquet", out.getvalue())
    assert (report.rows_read, report.rows_accepted, report.problems_by_rule) == (3, 2, {"invalid_utf8": 1})


def tar(content: bytes) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        info = tarfile.TarInfo("a.jsonl")
        info.size = len(content)
        archive.addfile(info, io.BytesIO(content))
    return out.getvalue()


OTHERS = {
    "tar": (tar(b'{"text": "x"}'), "tar archive"),
    "tar.gz": (gzip.compress(tar(b'{"text": "x"}')), "tar archive"),
    "xlsx": (as_zip({"[Content_Types].xml": b"<x/>", "xl/workbook.xml": b"<x/>"}), "Office document"),
    "xls": (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 600, "Office document"),
    "zip in zip": (as_zip({"a.json": as_zip({"b.json": b"[]"})}), "another archive"),
    "gz in gz": (gzip.compress(gzip.compress(b'{"text": "x"}')), "another archive"),
    "gz in zip": (as_zip({"a.jsonl.gz": gzip.compress(b"{}")}), "is none of"),
    "program in zip": (as_zip({"a.exe": b"MZ"}), "is none of"),
    "7z": (b"7z\xbc\xaf\x27\x1c" + b"\0" * 60, "7-Zip"),
    "bz2": (b"BZh91AY&SY" + b"\0" * 60, "bzip2"),
    "xz": (b"\xfd7zXZ\x00" + b"\0" * 60, "xz"),
    "pdf": (b"%PDF-1.7 x", "PDF"),
    "png": (b"\x89PNG\r\n\x1a\n", "image"),
    "arrow": (b"ARROW1\0\0", "Arrow"),
    "sqlite": (b"SQLite format 3\0", "SQLite"),
    "cut gz": (gzip.compress(random.Random(1).randbytes(5000))[:900], "compressed data"),
    "cut zst": (zstandard.compress(b'{"text": "x"}\n' * 9000)[:-9], "damaged"),
    "cut parquet": (as_parquet(RECORDS["corpus"])[:-9], "damaged"),
    "wrong gz": (gzip.compress(b'{"text": "x"}')[:-8] + b"\0" * 8, "damaged"),
    "empty zip": (as_zip({}), "empty archive"),
    "cut zip": (as_zip({"a.jsonl": b"{}" * 99})[:-30], "damaged"),
}  # fmt: skip


@pytest.mark.parametrize("what", OTHERS)
@pytest.mark.parametrize("name", ["a.jsonl", "a.bin"])
def test_what_is_not_taken_is_refused_in_words(what: str, name: str, tmp_path: Path) -> None:
    content, words = OTHERS[what]
    problem = refused(tmp_path, name, content)
    assert words in problem.message, problem.message
