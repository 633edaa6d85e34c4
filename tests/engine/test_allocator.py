"""The engine runs on a better allocator where one is found, as the same process, and hands it to no other."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tunery.core import allocator

TOLD = """
import os, sys
from pathlib import Path
from tunery.core import allocator
allocator.find_allocator = lambda: Path(sys.argv[1]) if len(sys.argv) > 1 else None
allocator.use_allocator()
loaded = len(sys.argv) > 1 and sys.argv[1] in Path("/proc/self/maps").read_text()
print(os.getpid(), loaded, os.environ.get("LD_PRELOAD"))
"""


def told(*arguments: str, **environment: str) -> list[str]:
    """Whether the process is the one that was started, whether the library is in it, what children would inherit."""
    child = subprocess.Popen(
        [sys.executable, "-c", TOLD, *arguments],
        stdout=subprocess.PIPE,
        text=True,
        env={**{k: v for k, v in os.environ.items() if k != "LD_PRELOAD"}, **environment},
    )
    out, _ = child.communicate()
    assert child.returncode == 0
    pid, *rest = out.split()
    assert int(pid) == child.pid
    return rest


@pytest.fixture
def library(tmp_path: Path) -> Path:
    """Some library that a process can be started with."""
    found = tmp_path / "libother.so"
    subprocess.run(
        ["cc", "-shared", "-fPIC", "-x", "c", "-", "-o", found], input=b"int tunery_other;", check=True
    )
    return found


def test_it_starts_again_with_the_library_and_children_do_not(library: Path) -> None:
    assert told(str(library)) == ["True", "None"]


def test_nothing_happens_without_one() -> None:
    assert told() == ["False", "None"]


def test_what_a_person_chose_stays(library: Path, tmp_path: Path) -> None:
    chosen = library.rename(tmp_path / "libchosen.so")
    assert told(str(library), LD_PRELOAD=str(chosen)) == ["False", str(chosen)]


def test_what_is_found_can_be_loaded() -> None:
    found = allocator.find_allocator()
    assert found is None or found.is_file()
