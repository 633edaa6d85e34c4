"""`tunery data check`: what is wrong with a file, without a server."""

import json
import zipfile
from pathlib import Path

import pytest

from tests.data.pictures import picture
from tests.jobs.house import alpaca
from tests.served import tunery
from tunery.data.formats.point import FORMATS


def test_good_file(tmp_path: Path) -> None:
    alpaca(tmp_path / "rows.jsonl", 20)
    done = tunery(tmp_path, "data", "check", "rows.jsonl", "--quarantine", "bad.jsonl")
    assert done.returncode == 0
    assert "20 rows read = 20 accepted + 0 rejected" in done.stdout
    assert not (tmp_path / "bad.jsonl").exists()


def test_bad_rows(tmp_path: Path) -> None:
    file = alpaca(tmp_path / "rows.jsonl", 5)
    with file.open("a") as more:
        more.write('{"instruction": "No answer"}\n{"broken\n')
    done = tunery(tmp_path, "data", "check", "rows.jsonl", "--json", "--quarantine", "bad.jsonl")
    assert done.returncode == 1
    report = json.loads(done.stdout)
    assert (report["rows_read"], report["rows_accepted"], report["rows_rejected"]) == (7, 5, 2)
    bad = [json.loads(line) for line in (tmp_path / "bad.jsonl").read_text().splitlines()]
    assert [line["line"] for line in bad] == [6, 7]
    spoken = tunery(tmp_path, "data", "check", "rows.jsonl")
    assert "rows.jsonl:6" in spoken.stdout
    assert "rows.jsonl:7" in spoken.stdout


def test_unreadable(tmp_path: Path) -> None:
    (tmp_path / "cut.json").write_text('[{"instruction": "a", "output": "b"}, {"instr')
    for name in ("cut.json", "missing.jsonl"):
        done = tunery(tmp_path, "data", "check", name, "--quarantine", "bad.jsonl")
        assert done.returncode == 2
        assert done.stderr.count("Error: ") == 1
        assert name in done.stderr
    assert not (tmp_path / "bad.jsonl").exists()
    as_json = tunery(tmp_path, "data", "check", "cut.json", "--json")
    assert json.loads(as_json.stdout)["error"]["code"] == "json_broken"


def test_control_characters_of_rows_stay_out_of_the_terminal(tmp_path: Path) -> None:
    (tmp_path / "rows.jsonl").write_text(
        '{"instruction": "a", "output": "b"}\n'
        + json.dumps({"instruction": "\x1b[2J\x07", "output": 5})
        + "\n"
    )
    done = tunery(tmp_path, "data", "check", "rows.jsonl")
    assert done.returncode == 1
    assert "\x1b" not in done.stdout
    assert "\x07" not in done.stdout


def test_rows_that_are_drawn_are_told(tmp_path: Path) -> None:
    rows = "".join(json.dumps({"image": "a.png", "caption": f"Number {n}"}) + "\n" for n in range(2001))
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as packed:
        packed.writestr("rows.jsonl", rows)
        packed.writestr("a.png", picture("PNG", (1, 1)))
    done = tunery(tmp_path, "data", "check", "a.zip")
    assert done.returncode == 0, done.stderr
    assert "2,001 rows read = 2,001 accepted + 0 rejected" in done.stdout
    assert "2,000 of the accepted rows are kept, drawn at random with seed 0" in done.stdout


KEYS = {
    "format", "reason", "rows_read", "rows_accepted", "rows_rejected", "problems_by_rule", "problems", "duplicates",
    "bytes", "seconds",
}  # fmt: skip


@pytest.mark.parametrize("format", FORMATS.names())
def test_what_every_format_answers(format: str, tmp_path: Path) -> None:
    """The keys and exit codes that scripts rely on, with the format named and recognised."""
    example = json.loads(FORMATS.load(format).EXAMPLE)
    good, bad = json.dumps([example] * 3), json.dumps([example, {"odd": 1}, example])
    cut = good[:-3]
    for name, rows, flags, code, counts in (
        ("good", good, (), 0, (3, 3, 0)),
        ("good", good, ("--format", format), 0, (3, 3, 0)),
        ("bad", bad, (), 1, (3, 2, 1)),
        ("cut", cut, (), 2, None),
        ("cut", cut, ("--salvage",), 1, (3, 2, 1)),
    ):
        path = tmp_path / f"{name}.zip"
        with zipfile.ZipFile(path, "w") as packed:
            packed.writestr("train.json", rows)
            packed.writestr("images/pond.jpg", picture("JPEG"))
        done = tunery(tmp_path, "data", "check", path.name, *flags, "--json")
        assert done.returncode == code, (name, flags, done.stderr)
        report = json.loads(done.stdout)
        if counts is None:
            assert (report["error"]["code"], report["error"]["params"]["rows"]) == ("json_broken", 2)
            assert report["error"]["where"]["file"] == "cut.zip/train.json"
            continue
        assert set(report) >= KEYS
        assert (report["rows_read"], report["rows_accepted"], report["rows_rejected"]) == counts
        assert report["format"] == format
        for problem in report["problems"]:
            assert set(problem) == {"file", "line", "row", "offset", "field", "rule", "excerpt", "fix"}
            assert problem["file"] == f"{name}.zip/train.json"
