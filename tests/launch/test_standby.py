"""A process started ahead does what a new one would: same folder, log, identity, signals, surroundings."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.patience import PATIENCE, wait
from tunery.core.attempt import AttemptFolder
from tunery.core.process import ProcessIdentity
from tunery.launch import local

WORK = """
import os, sys, time
from pathlib import Path
from tunery.core.standby import WAIT, Told, speak_into
folder = Path(sys.argv[1])
if sys.argv[1] == WAIT:
    folder = Told().folder()
    speak_into(folder / "log.txt")
print(os.getpid(), folder, os.environ.get("TOY"), repr(sys.stdin.read()), flush=True)
time.sleep(600)
"""
COMMAND = [sys.executable, "-c", WORK]


@pytest.fixture(autouse=True)
def _slow_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """However long Python takes to start, who waits is waited for."""
    monkeypatch.setattr("tunery.core.standby._ANSWER_SECONDS", PATIENCE)


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[AttemptFolder]:
    made = AttemptFolder(tmp_path)
    yield made
    local.stand_down()
    local.standing_by()
    local.kill(made)


def start(folder: AttemptFolder, environment: dict[str, str]) -> tuple[ProcessIdentity, str]:
    """Start the work; who does it, and what it says."""
    local.start([*COMMAND, str(folder.path)], folder, environment)
    identity = ProcessIdentity.load(folder.process)
    assert identity is not None
    wait("its words", lambda: folder.log.read_text().endswith("\n"))
    return identity, folder.log.read_text()


def gone(identity: ProcessIdentity) -> bool:
    return not identity.alive()


def test_one_that_waits_gets_the_work(folder: AttemptFolder) -> None:
    waiting = local.stand_by(COMMAND, {"TOY": "seen"})
    assert waiting is not None
    working, said = start(folder, {"TOY": "seen"})
    assert working == waiting
    assert said == f"{waiting.pid} {folder.path} seen ''\n"
    assert local.standing_by() == ([], 0)
    assert os.getsid(working.pid) == working.pid
    assert local.alive(folder)
    local.terminate(folder)
    wait("its end", lambda: not local.alive(folder))


def test_other_surroundings_or_another_command_need_a_new_one(folder: AttemptFolder) -> None:
    waiting = local.stand_by(COMMAND, {"TOY": "one"})
    assert waiting is not None
    working, said = start(folder, {"TOY": "other"})
    assert working != waiting
    assert " other " in said
    assert local.standing_by() == ([waiting], 0)


def test_surroundings_that_changed_since_need_a_new_one(
    folder: AttemptFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    waiting = local.stand_by(COMMAND, {})
    monkeypatch.setenv("TOY", "changed")
    working, said = start(folder, {})
    assert working != waiting
    assert " changed " in said


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGSTOP])
def test_killed_or_stuck_while_it_waits(
    folder: AttemptFolder, number: signal.Signals, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tunery.core.standby._ANSWER_SECONDS", 0.5)
    waiting = local.stand_by(COMMAND, {})
    assert waiting is not None
    os.kill(waiting.pid, number)
    working, _ = start(folder, {})
    assert working != waiting
    assert working.alive()
    assert gone(waiting)
    assert local.standing_by() == ([], 1)


def test_a_command_that_cannot_wait_is_counted(folder: AttemptFolder) -> None:
    waiting = local.stand_by([sys.executable, "-c", "pass"], {})
    assert waiting is None or waiting.pid
    wait("its end", lambda: local.standing_by() == ([], 1))


def test_ending_those_that_wait(folder: AttemptFolder) -> None:
    waiting = local.stand_by(COMMAND, {})
    assert waiting is not None
    local.stand_down()
    assert gone(waiting)
    assert local.standing_by() == ([], 0)


STARTER = """
import os, signal, sys
from pathlib import Path
from tunery.core.attempt import AttemptFolder
from tunery.core import standby
from tunery.launch import local
standby._ANSWER_SECONDS = 240
command = sys.argv[3:]
print(local.stand_by(command, {}).pid, flush=True)
if sys.argv[1] == "used":
    local.start([*command, sys.argv[2]], AttemptFolder(Path(sys.argv[2])), {})
os.kill(os.getpid(), signal.SIGKILL)
"""


def started_by_a_victim(folder: AttemptFolder, use: str) -> int:
    done = subprocess.run(
        [sys.executable, "-c", STARTER, use, str(folder.path), *COMMAND], stdout=subprocess.PIPE, text=True
    )
    assert done.returncode == -signal.SIGKILL
    return int(done.stdout)


def test_whoever_waits_ends_with_a_starter_that_was_killed(folder: AttemptFolder) -> None:
    pid = started_by_a_victim(folder, "waiting")
    wait("its end", lambda: ProcessIdentity.of(pid) is None)


def test_whoever_works_outlives_it(folder: AttemptFolder) -> None:
    pid = started_by_a_victim(folder, "used")
    wait("its words", lambda: folder.log.read_text().endswith("\n"))
    assert local.alive(folder)
    found = ProcessIdentity.load(folder.process)
    assert found is not None
    assert found.pid == pid
    local.kill(folder)
    wait("its end", lambda: not local.alive(folder))
