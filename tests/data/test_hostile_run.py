"""The run over hostile files, small: every file ends as named, and a wrong outcome is noticed."""

from pathlib import Path

import orjson
import pytest

from bench.hostile.case import ROW, Bad, Case, Clean, Refused
from bench.hostile.clean import clean_cases
from bench.hostile.program import MAX_MB, cases, main, run, try_case

_SCALE = 0.01


def test_every_numbered_case_has_a_file() -> None:
    covered = {case.number for case in [*cases(_SCALE), *clean_cases(_SCALE)]}
    assert covered == set(range(28))


@pytest.mark.slow
def test_one_file_of_each_number_ends_as_named(tmp_path: Path) -> None:
    first = {case.number: case for case in reversed(list(cases(_SCALE)))}
    clean = {case.number: case for case in clean_cases(_SCALE)}
    report = run(list(first.values()), list(clean.values()))
    assert [one for one in report["cases"] if one["wrong"]] == []
    assert (report["tried"], report["refused"]) == (len(first), len(first))
    assert (report["false_rejects"], report["rows_lost"], report["passed"]) == (0, 0, True)
    assert 0 < report["peak_rss_mb"] < MAX_MB


def case(outcome: Refused | Bad | Clean, content: bytes = ROW * 2) -> Case:
    return Case(0, "made up", "a.jsonl", lambda path: path.write_bytes(content), outcome)


def test_other_outcomes_than_named_are_noticed() -> None:
    for wrong in (Refused("anything"), Bad(1, {"invalid_json": 1}), Clean(3)):
        assert try_case(case(wrong)).wrong
    assert try_case(case(Clean(3))).lost == 1
    broken = case(Refused("another reason"), b"\xff\xfea\0")
    assert any("UTF-16" in why for why in try_case(broken).wrong)
    assert try_case(case(Clean(2))).wrong == []


def test_a_file_left_behind_and_memory_are_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "bench.hostile.program._command", lambda name: ["/bin/sh", "-c", f"cat {name} > ../left; echo {{}}"]
    )
    assert "it wrote ['home/left']" in try_case(case(Clean(2))).wrong
    monkeypatch.undo()
    monkeypatch.setattr("bench.hostile.program.MAX_MB", 1)
    assert any("it took" in why for why in try_case(case(Clean(2))).wrong)


def test_the_program_fails_when_a_case_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bench.hostile.program.cases", lambda scale: [case(Refused("anything"))])
    monkeypatch.setattr("bench.hostile.program.clean_cases", lambda scale: [case(Clean(2))])
    monkeypatch.setattr("bench.hostile.program.attempts", lambda: [])
    report = tmp_path / "hostile-report.json"
    assert main(["--report", str(report)]) == 1
    found = orjson.loads(report.read_bytes())
    assert (found["tried"], found["refused"], found["false_rejects"], found["rows_lost"]) == (1, 0, 0, 0)
    assert found["peak_rss_mb"] > 1
    monkeypatch.setattr("bench.hostile.program.cases", lambda scale: [])
    assert main(["--report", str(report)]) == 0
