"""A process started here is found, asked to end and ended by whoever has the folder."""

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tunery.core.attempt import AttemptFolder
from tunery.launch import local

SLEEP = [sys.executable, "-c", "import time; print('here', flush=True); time.sleep(60)"]


@pytest.fixture
def folder(tmp_path: Path) -> AttemptFolder:
    return AttemptFolder(tmp_path)


def wait(until: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not until():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_start_log_terminate(folder: AttemptFolder) -> None:
    assert not local.alive(folder)
    local.start(SLEEP, folder, {})
    wait(lambda: folder.log.read_text() == "here\n")
    assert local.alive(folder)
    local.terminate(folder)
    wait(lambda: not local.alive(folder))


def test_kill_ends_the_children_too(folder: AttemptFolder) -> None:
    script = "import subprocess,sys,time; p=subprocess.Popen(['sleep','60']); print(p.pid, flush=True); time.sleep(60)"
    local.start([sys.executable, "-c", script], folder, {})
    wait(lambda: folder.log.read_text().endswith("\n"))
    grandchild = Path(f"/proc/{int(folder.log.read_text())}")
    local.kill(folder)
    wait(lambda: not local.alive(folder))
    wait(lambda: not grandchild.exists() or "\nState:\tZ" in (grandchild / "status").read_text())


def test_another_process_takes_over(folder: AttemptFolder) -> None:
    """Started by a worker that is gone, seen and ended by this one."""
    starter = (
        "import sys; from pathlib import Path; from tunery.core.attempt import AttemptFolder; "
        "from tunery.launch import local; local.start(sys.argv[2:], AttemptFolder(Path(sys.argv[1])), {})"
    )
    subprocess.run([sys.executable, "-c", starter, str(folder.path), *SLEEP], check=True)
    assert local.alive(folder)
    local.kill(folder)
    wait(lambda: not local.alive(folder))


def test_one_that_ended_at_once_is_not_alive(folder: AttemptFolder) -> None:
    local.start([sys.executable, "-c", "pass"], folder, {"X": "1"})
    wait(lambda: not local.alive(folder))
    local.terminate(folder)


def test_the_environment_is_passed(folder: AttemptFolder) -> None:
    local.start([sys.executable, "-c", "import os; print(os.environ['TOY'])"], folder, {"TOY": "seen"})
    wait(lambda: folder.log.read_text() == "seen\n")
