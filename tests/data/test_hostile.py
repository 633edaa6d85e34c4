"""Hostile files: refused in words or read to the last row; never a crash, never much memory, nothing written."""

import gzip
import io
import random
import struct
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard

from tests.data.test_containers import as_zip, check, lines, refused
from tunery.core.errors import Problem
from tunery.data.archive import MAX_MEMBERS, label_of

ROW = b'{"text": "fine"}\n'


def zip_with(*entries: tuple[zipfile.ZipInfo, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for info, content in entries:
            archive.writestr(info, content)
    return out.getvalue()


def entry(name: str, mode: int = 0o100644) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name)
    info.external_attr = mode << 16
    return info


@pytest.mark.parametrize(
    "name",
    ['"><script>x.jsonl', "con.jsonl", "x" * 245 + ".jsonl", "😀.jsonl", "a\u202efdp.jsonl", "-rf.jsonl",
     "$(id).jsonl", "a..b/...jsonl", "under\\x.jsonl"],
)  # fmt: skip
def test_member_names_are_labels_and_never_paths(name: str, tmp_path: Path) -> None:
    folder = tmp_path / "deep" / "er"
    folder.mkdir(parents=True)
    report = check(folder, "a.zip", zip_with((entry(name), ROW + b"{\n")))
    assert (report.rows_accepted, report.rows_rejected) == (1, 1)
    label = report.problems[0].file
    assert label == f"a.zip/{label_of(name)}"
    assert label.isprintable()
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == ["upload"]


@pytest.mark.parametrize(
    "name",
    ["../../up.jsonl", "/abs.jsonl", "..\\..\\up.jsonl", "\\\\host\\x.jsonl", "C:\\x.jsonl", "C:x.jsonl",
     "a/../../x.txt", "../i.png"],
)  # fmt: skip
def test_paths_that_lead_out_are_refused(name: str, tmp_path: Path) -> None:
    content = zip_with((entry("a.jsonl"), ROW), (entry(name), ROW))
    assert "has a path outside the archive" in refused(tmp_path, "a.zip", content).message


@pytest.mark.parametrize("sign", ["\0", "\n", "\x1b"])
def test_names_with_control_characters_are_refused(sign: str, tmp_path: Path) -> None:
    content = zip_with((entry("aXb.jsonl"), ROW)).replace(b"aXb.jsonl", f"a{sign}b.jsonl".encode())
    assert "control characters" in refused(tmp_path, "a.zip", content).message


@pytest.mark.parametrize("mode", [0o120777, 0o060644, 0o020644, 0o010644])
def test_links_and_devices_are_refused(mode: int, tmp_path: Path) -> None:
    assert (
        "link or device"
        in refused(tmp_path, "a.zip", zip_with((entry("a.jsonl", mode), b"/etc/passwd"))).message
    )


@pytest.mark.parametrize(
    ("one", "two"), [("a.jsonl", "a.jsonl"), ("A.jsonl", "a.jsonl"), ("é.json", "e\u0301.json")]
)
@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_two_members_of_one_name_are_refused(one: str, two: str, tmp_path: Path) -> None:
    problem = refused(tmp_path, "a.zip", zip_with((entry(one), ROW), (entry(two), ROW)))
    assert "two files with the same name" in problem.message


def test_too_many_members(tmp_path: Path) -> None:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for number in range(MAX_MEMBERS + 1):
            archive.writestr(f"{number}.txt", "x")
    assert "more than 20,000 files" in refused(tmp_path, "a.zip", out.getvalue()).message
    # A count that lies doesn't make the list be read.
    content = bytearray(out.getvalue())
    struct.pack_into("<HH", content, len(content) - 14, 1, 1)
    tail = bytes(content)
    with pytest.raises(Problem, match=r"20,000 files|damaged"):
        check(tmp_path, "a.zip", tail)


BOMBS: dict[str, Callable[[], bytes]] = {
    "a.zip": lambda: as_zip({"a.jsonl": (b'{"text": "' + b"fine " * 2000 + b'"}\n') * 9_000}),
    "spaces.zip": lambda: as_zip({"a.jsonl": b" " * (200 << 20)}),
    "a.jsonl.gz": lambda: gzip.compress(b'{"text": "' + b"x" * (200 << 20) + b'"}'),
    "a.jsonl.zst": lambda: zstandard.compress(b" " * (200 << 20)),
}


@pytest.mark.parametrize("name", BOMBS)
def test_bombs_are_stopped_early(name: str, tmp_path: Path) -> None:
    assert "decompresses to" in refused(tmp_path, name, BOMBS[name]()).message


def test_members_that_overlap(tmp_path: Path) -> None:
    content = as_zip({"a.jsonl": ROW * 50, "b.jsonl": ROW * 50})
    second = content.rindex(b"PK\x01\x02")
    twisted = bytearray(content)
    struct.pack_into("<L", twisted, second + 42, 0)
    struct.pack_into("<7s", twisted, second + 46, b"a.jsonl")
    problem = refused(tmp_path, "a.zip", bytes(twisted))
    assert "the same name" in problem.message
    struct.pack_into("<7s", twisted, second + 46, b"b.jsonl")
    assert "overlaps" in refused(tmp_path, "a.zip", bytes(twisted)).message


@pytest.mark.parametrize("field", [16, 20, 24])
def test_a_directory_that_lies(field: int, tmp_path: Path) -> None:
    """CRC, packed size, unpacked size."""
    content = bytearray(as_zip({"a.jsonl": ROW * 500}))
    at = content.rindex(b"PK\x01\x02") + field
    for value in (0, 7, 7_999, 2**31):
        lying = bytearray(content)
        struct.pack_into("<L", lying, at, value)
        refused(tmp_path, "a.zip", bytes(lying))


def test_encrypted_members(tmp_path: Path) -> None:
    content = bytearray(as_zip({"a.jsonl": ROW}))
    content[6] |= 1
    content[content.rindex(b"PK\x01\x02") + 8] |= 1
    assert "encrypted" in refused(tmp_path, "a.zip", bytes(content)).message


def test_rare_methods(tmp_path: Path) -> None:
    for method in (zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA):
        assert "unusual compression" in refused(tmp_path, "a.zip", as_zip({"a.jsonl": ROW}, method)).message


@pytest.mark.parametrize("seed", range(60))
def test_damaged_archives_never_crash(seed: int, tmp_path: Path) -> None:
    draw = random.Random(seed)
    sources = [as_zip({"a.jsonl": ROW * 90, "b.csv": b"text\nx\n"}), gzip.compress(ROW * 90),
               zstandard.compress(ROW * 90), small_parquet()]  # fmt: skip
    content = bytearray(sources[seed % 4])
    for _ in range(draw.randrange(1, 6)):
        content[draw.randrange(len(content))] = draw.randrange(256)
    if draw.random() < 0.3:
        del content[draw.randrange(4, len(content)) :]
    path = tmp_path / "x"
    path.write_bytes(content)
    try:
        report = check(tmp_path, "a.jsonl", bytes(content))
    except Problem:
        return  # Refused in words; anything else that is raised fails the test.
    else:
        assert report.rows_read == report.rows_accepted + report.rows_rejected


def small_parquet(**options: object) -> bytes:
    out = io.BytesIO()
    pq.write_table(pa.table({"text": ["x" * 30] * 500}), out, **options)
    return out.getvalue()


def test_a_row_group_that_swells(tmp_path: Path) -> None:
    out = io.BytesIO()
    pq.write_table(pa.table({"text": ["x" * 1_000_000] * 300}), out, compression="zstd", use_dictionary=False)
    assert "row group" in refused(tmp_path, "a.parquet", out.getvalue()).message


def test_rows_too_long_too_deep_too_many_keys(tmp_path: Path) -> None:
    rows = [
        b'{"text": "' + b"x" * (40 << 20) + b'"}',
        b'{"text": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        orjson.dumps({"text": "x", **{f"k{n}": n for n in range(100_000)}}),
        b'{"text": "' + b"y" * (65 << 20) + b'"}',
        b'{"text": "end"}',
    ]
    report = check(tmp_path, "a.jsonl", b"\n".join([ROW.strip(), *rows]))
    assert [(bad.row, bad.rule) for bad in report.problems] == [(3, "nesting_too_deep"), (5, "row_too_long")]
    assert report.rows_accepted == 4


def test_half_of_a_tool_call_and_odd_roles(tmp_path: Path) -> None:
    def row(*turns: dict[str, object]) -> dict[str, object]:
        return {"messages": list(turns)}

    user, answer = {"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}
    rows = [
        row(user, answer),
        row(user, {"role": "assistant", "content": "", "tool_calls": [{}]}, answer),
        row({"role": "", "content": "a"}, answer),
        row(user, {"role": "tool", "content": "x"}),
        row(user, {"content": "x"}),
        row(user, {"role": None, "content": "x"}),
    ]
    report = check(tmp_path, "a.jsonl", lines(rows))
    assert [bad.rule for bad in report.problems] == [
        "tool_call", "unknown_role", "turns_do_not_alternate", "field_missing", "not_text",
    ]  # fmt: skip


def test_templates_and_formulas_in_rows_stay_text(tmp_path: Path) -> None:
    wild = [
        "{{ ''.__class__ }}",
        "{% for x in y %}",
        "=cmd|' /C calc'!A0",
        "<script>alert(1)</script>",
        "\u202eabc",
    ]
    taken: list[bytes] = []
    check(
        tmp_path,
        "a.jsonl",
        lines([{"text": text} for text in wild]),
        on_rows=lambda rows, _: taken.extend(rows),
    )
    assert [orjson.loads(line)["text"] for line in taken] == wild


_MEASURE = """
import sys
from pathlib import Path
from tunery.blobs.local import LocalBlobs
from tunery.core.errors import Problem
from tunery.data.check import check_file
from tunery.data.store import VersionWriter
folder = Path(sys.argv[1])
def peak() -> int:
    return next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmHWM"))
before = peak()
with VersionWriter(LocalBlobs(folder / "blobs"), scratch=folder) as writer:
    try:
        check_file(folder / "upload", name=sys.argv[2], on_rows=writer.append)
    except Problem as problem:
        print(problem.code)
print(peak() - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize("name", ["bomb.zip", "many.jsonl", "one line.jsonl", "long.csv", "wide.json"])
def test_memory_stays_small(name: str, tmp_path: Path) -> None:
    with (tmp_path / "upload").open("wb") as file:
        if name == "bomb.zip":
            file.write(BOMBS["spaces.zip"]())
        elif name == "many.jsonl":
            for number in range(110):
                file.write(b"".join(b'{"text": "row %d"}\n' % (number * 10_000 + n) for n in range(10_000)))
        elif name == "one line.jsonl":
            for _ in range(200):
                file.write(b"x" * (1 << 20))
        elif name == "long.csv":
            file.write(b'text,more\n"never closed')
            for _ in range(20):
                file.write(b"word, " * 1_000 * 1_000 + b"\n")
            file.write(b"a,b\n" * 200_000)
        else:
            file.write(b"[" + b",".join(b'{"text": "%d"}' % n for n in range(500_000)) + b"]")
    run = subprocess.run(
        [sys.executable, "-c", _MEASURE, str(tmp_path), name], capture_output=True, text=True, check=True
    )
    assert int(run.stdout.split()[-1]) < 200 << 10
