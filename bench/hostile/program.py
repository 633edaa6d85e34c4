"""Hostile files against `tunery data check`, each in a process of its own, and clean ones beside them.

    python -m bench.hostile [--scale 1.0] [--only 2,26] [--report hostile-report.json]

Every file has an outcome that is named beforehand: refused as a whole and with which words, or which of its rows are
refused by which rule; a clean one is taken to its last row. Requests to addresses that must not be reached are tried
here, against this machine only. Anything else fails the run, as do a lost row, a file
written anywhere, a process that takes more than MAX_MB or lasts too long. Writes the report in any case.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import orjson

from bench.hostile.archives import archives, packed
from bench.hostile.case import Bad, Case, Clean, Outcome, Refused
from bench.hostile.clean import clean_cases
from bench.hostile.images import pictures
from bench.hostile.outbound import CANARY, Attempt, attempts
from bench.hostile.records import rows
from bench.hostile.sheets import tables
from tunery.core.errors import Problem

MAX_MB = 300
MAX_SECONDS = 120
_CODES = {Clean: 0, Bad: 1, Refused: 2}
_SPAWN = """
import os, signal, sys
seconds, *command = sys.argv[1:]
pid = os.posix_spawn(command[0], command, os.environ, file_actions=[
    (os.POSIX_SPAWN_OPEN, 1, "out", os.O_WRONLY | os.O_CREAT, 0o600),
    (os.POSIX_SPAWN_OPEN, 2, "err", os.O_WRONLY | os.O_CREAT, 0o600)])
signal.signal(signal.SIGALRM, lambda *_: os.kill(pid, signal.SIGKILL))
signal.alarm(int(seconds))
_, status, used = os.wait4(pid, 0)
print(os.waitstatus_to_exitcode(status), used.ru_maxrss)
"""
"""Starts the command from a process so small that what it holds itself doesn't count."""


@dataclass(frozen=True)
class Ended:
    """What became of one file or request; a request has no process of its own, so its exit code and memory are 0."""

    number: int
    name: str
    expected: str
    exit_code: int
    peak_mb: float
    seconds: float
    lost: int
    wrong: list[str]
    """Why this isn't the outcome that was named; empty when it is."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run, print, write the report; 1 when anything ended otherwise than named."""
    parser = argparse.ArgumentParser(
        prog="bench.hostile", description=__doc__.splitlines()[0] if __doc__ else ""
    )
    parser.add_argument(
        "--scale", type=float, default=1.0, help="size of the large files, 1 = as they are meant"
    )
    parser.add_argument("--only", default="", help="numbers of cases, comma-separated; clean files always")
    parser.add_argument("--report", type=Path, default=Path("hostile-report.json"))
    given = parser.parse_args(arguments)
    only = {int(number) for number in given.only.split(",") if number}
    hostile = (case for case in cases(given.scale) if not only or case.number in only)
    outbound = (attempt for attempt in attempts() if not only or attempt.number in only)
    report = run(hostile, clean_cases(given.scale), outbound)
    given.report.write_bytes(orjson.dumps(report, option=orjson.OPT_INDENT_2) + b"\n")
    for ended in report["cases"]:
        for why in ended["wrong"]:
            sys.stdout.write(f"FAILED {ended['number']} {ended['name']}: {why}\n")
    shown = {key: value for key, value in report.items() if key != "cases"}
    sys.stdout.write(orjson.dumps(shown).decode() + "\n")
    return 0 if report["passed"] else 1


def cases(scale: float) -> Iterator[Case]:
    """All hostile files, each made when it is asked for. `scale`: how large the large ones are."""
    for part in (archives, packed, rows, tables, pictures):
        yield from part(scale)


def run(hostile: Iterable[Case], clean: Iterable[Case], outbound: Iterable[Attempt] = ()) -> dict[str, Any]:
    """Try every file and every request; the report."""
    ended = [try_case(case) for case in hostile] + [try_attempt(attempt) for attempt in outbound]
    false = [try_case(case) for case in clean]
    peak = max((one.peak_mb for one in [*ended, *false]), default=0.0)
    return {
        "tried": len(ended),
        "refused": sum(not one.wrong for one in ended),
        "clean": len(false),
        "false_rejects": sum(bool(one.wrong) for one in false),
        "rows_lost": sum(one.lost for one in [*ended, *false]),
        "peak_rss_mb": peak,
        "max_rss_mb": MAX_MB,
        "seconds": round(sum(one.seconds for one in [*ended, *false]), 1),
        "passed": not any(one.wrong for one in [*ended, *false]),
        "cases": [asdict(one) for one in [*ended, *false]],
    }


def try_case(case: Case) -> Ended:
    """Make the file, check it, look what happened."""
    with tempfile.TemporaryDirectory(prefix="tunery-hostile-") as outside:
        place = Path(outside) / "home" / "work"
        (place / "tmp").mkdir(parents=True)
        case.make(place / case.name)
        before = _everything(Path(outside))
        started = time.monotonic()
        spawned = subprocess.run(
            [sys.executable, "-I", "-S", "-c", _SPAWN, str(MAX_SECONDS), *_command(case.name)],
            cwd=place, env={**os.environ, "TMPDIR": str(place / "tmp"), "HOME": str(place.parent)},
            capture_output=True, text=True, check=True,
        )  # fmt: skip
        seconds = round(time.monotonic() - started, 3)
        code, peak = map(int, spawned.stdout.split())
        said = _read(place / "out")
        (place / "out").unlink()
        errors = (place / "err").read_text(errors="replace")
        (place / "err").unlink()
        wrong = _judge(case.outcome, code, said, errors)
        if written := _everything(Path(outside)) - before:
            wrong.append(f"it wrote {sorted(written)[:3]}")
        if peak / 1024 > MAX_MB:
            wrong.append(f"it took {peak // 1024} MB")
        return Ended(
            case.number, case.title, repr(case.outcome), code, round(peak / 1024, 1), seconds,
            _lost(case.outcome, said), wrong,
        )  # fmt: skip


def try_attempt(attempt: Attempt) -> Ended:
    """Make the request, here; it must not get through."""
    wrong: list[str] = []
    started = time.monotonic()
    try:
        attempt.go()
        wrong.append("it got through")
    except Problem as problem:
        if problem.code != attempt.code:
            wrong.append(f"said {problem.code}, not {attempt.code}")
        if CANARY in repr(problem.as_dict()):
            wrong.append("it repeats what the other side said")
    seconds = round(time.monotonic() - started, 3)
    return Ended(attempt.number, attempt.title, attempt.code, 0, 0.0, seconds, 0, wrong)


def _command(name: str) -> list[str]:
    return [str(Path(sys.executable).with_name("tunery")), "data", "check", name, "--json"]


def _judge(outcome: Outcome, code: int, said: dict[str, Any], errors: str) -> list[str]:
    """Why the outcome isn't the one that was named."""
    wrong: list[str] = []
    if code != _CODES[type(outcome)]:
        wrong.append(f"exit code {code}, not {_CODES[type(outcome)]}: {errors[-300:].strip()}")
    if "Traceback" in errors:
        wrong.append(f"a stack trace: {errors[-300:].strip()}")
    if isinstance(outcome, Refused):
        error = said.get("error", {})
        if error.get("code") != outcome.code or outcome.words not in error.get("message", ""):
            wrong.append(f"said {error.get('code')}: {error.get('message')!r}")
        if not error.get("cure"):
            wrong.append("no cure")
        return wrong
    if "rows_read" not in said:
        return [*wrong, "no report"]
    if said["rows_accepted"] != outcome.accepted:
        wrong.append(f"{said['rows_accepted']} rows accepted, not {outcome.accepted}")
    if said["problems_by_rule"] != outcome.rules:
        wrong.append(f"rules {said['problems_by_rule']}, not {outcome.rules}")
    for bad in said["problems"]:
        if not (bad["file"] and bad["row"] >= 1 and bad["line"] >= 1 and bad["offset"] >= 0 and bad["fix"]):
            wrong.append(f"a problem without its place or fix: {bad}")
    return wrong


def _lost(outcome: Outcome, said: dict[str, Any]) -> int:
    """Rows that were in the file and are neither accepted nor rejected, or are more than there were."""
    if isinstance(outcome, Refused) or "rows_read" not in said:
        return 0
    expected = outcome.accepted + sum(outcome.rules.values())
    return abs(expected - said["rows_accepted"] - said["rows_rejected"])


def _read(path: Path) -> dict[str, Any]:
    try:
        return orjson.loads(path.read_bytes())
    except orjson.JSONDecodeError:
        return {}


def _everything(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}
