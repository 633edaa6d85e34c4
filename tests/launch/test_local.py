"""A process started here is found, asked to end and ended by whoever has the folder."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.patience import wait
from tunery.core.attempt import AttemptFolder
from tunery.core.process import ProcessIdentity
from tunery.launch import local

SLEEP = [sys.executable, "-c", "import time; print('here', flush=True); time.sleep(600)"]


@pytest.fixture
def folder(tmp_path: Path) -> AttemptFolder:
    return AttemptFolder(tmp_path)


def test_start_log_terminate(folder: AttemptFolder) -> None:
    assert not local.alive(folder)
    local.start(SLEEP, folder, {})
    wait("its words", lambda: folder.log.read_text() == "here\n")
    assert local.alive(folder)
    local.terminate(folder)
    wait("its end", lambda: not local.alive(folder))


def test_kill_ends_the_children_too(folder: AttemptFolder) -> None:
    script = (
        "import subprocess as s,time; p=s.Popen(['sleep','600']); print(p.pid, flush=True); time.sleep(600)"
    )
    local.start([sys.executable, "-c", script], folder, {})
    wait("its words", lambda: folder.log.read_text().endswith("\n"))
    grandchild = int(folder.log.read_text())
    local.kill(folder)
    wait("its end", lambda: not local.alive(folder))
    wait("the child's child to end", lambda: ProcessIdentity.of(grandchild) is None)


def test_another_process_takes_over(folder: AttemptFolder) -> None:
    """Started by a worker that is gone, seen and ended by this one."""
    starter = (
        "import sys; from pathlib import Path; from tunery.core.attempt import AttemptFolder; "
        "from tunery.launch import local; local.start(sys.argv[2:], AttemptFolder(Path(sys.argv[1])), {})"
    )
    subprocess.run([sys.executable, "-c", starter, str(folder.path), *SLEEP], check=True)
    assert local.alive(folder)
    local.kill(folder)
    wait("its end", lambda: not local.alive(folder))


def test_one_that_ended_at_once_is_not_alive(folder: AttemptFolder) -> None:
    local.start([sys.executable, "-c", "pass"], folder, {"X": "1"})
    wait("its end", lambda: not local.alive(folder))
    local.terminate(folder)


def test_the_environment_is_passed(folder: AttemptFolder) -> None:
    local.start([sys.executable, "-c", "import os; print(os.environ['TOY'])"], folder, {"TOY": "seen"})
    wait("its words", lambda: folder.log.read_text() == "seen\n")
