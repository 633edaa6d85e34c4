"""`tunery data check`: what is wrong with a file, without a server."""

import json
from pathlib import Path

from tests.jobs.house import alpaca
from tests.served import tunery


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
