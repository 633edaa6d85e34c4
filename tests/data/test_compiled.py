"""The compiled part: built or not, and what it does with memory."""

import os
import subprocess
import sys
from array import array
from pathlib import Path

import pytest

from tools.compile import ROWS
from tunery.cli.checks import examine
from tunery.data import native
from tunery.data.formats.messages import QUICK
from tunery.data.quick import QuickReader, quick_reader

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.slow
def test_mangled_rows_never_touch_foreign_memory(tmp_path: Path) -> None:
    library = tmp_path / ROWS.library.name
    watching = ("-O1", "-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all")
    assert ROWS.compile(ROOT, library, *watching) == ""
    found = subprocess.run(["gcc", "-print-file-name=libasan.so"], capture_output=True, text=True, check=True)
    environment = {
        **os.environ, "LD_PRELOAD": found.stdout.strip(), "PYTHONMALLOC": "malloc",
        "PYTHONPATH": f"{ROOT / 'src'}:{ROOT}", "ASAN_OPTIONS": "detect_leaks=0",
    }  # fmt: skip
    command = [sys.executable, "-m", "tests.data.fuzz", str(library), "3", "5000"]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=ROOT, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    assert int(done.stdout.split()[0]) > 300


def test_what_is_in_the_way_of_compiling_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = tmp_path / ROWS.sources[0]
    broken.parent.mkdir(parents=True)
    broken.write_text("int main(")
    assert broken.name in ROWS.compile(tmp_path)
    monkeypatch.setenv("CC", "no-such-compiler")
    monkeypatch.setattr("sysconfig.get_config_var", lambda name: "none-either")
    monkeypatch.setattr("shutil.which", lambda name: None)
    assert ROWS.compile(ROOT, tmp_path / "out.so") == "there is no C compiler"


def test_without_it_rows_are_read_carefully_and_the_doctor_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    def verdict() -> str:
        return next(one.verdict for one in examine() if one.what == "Data reader")

    assert quick_reader(QUICK) is not None
    assert verdict() == "good"
    monkeypatch.setattr(native, "COMPILED", None)
    assert quick_reader(QUICK) is None
    assert verdict() == "notice"


def test_nonsense_from_python_is_refused_and_not_followed() -> None:
    compiled = native.COMPILED
    assert compiled is not None
    plan = QuickReader(QUICK)._plan
    for places in ((0, 9), (3, 2), (2**32 - 1, 2**32 - 1)):
        with pytest.raises(ValueError, match="outside"):
            compiled.read_rows(plan, b"{}", array("I", places), 1)
    for ends in ((9,), (2, 1)):
        with pytest.raises(ValueError, match="outside"):
            compiled.hash_rows(b"ab", array("I", ends), 1)
    for wrong in (plan[:-1], (*plan[:-1], 7), ((("text", 1),), *plan[1:]), (((b"text", 99),), *plan[1:]),
                  (((b"a", 0),) * 40, *plan[1:]), (*plan[:7], (b"",), *plan[8:]),
                  (plan[0], ((b"role",),), *plan[2:]), (plan[0], (b"role",), *plan[2:]),
                  (plan[0], ((b"a", b"b"),) * 3, *plan[2:])):  # fmt: skip
        with pytest.raises((TypeError, ValueError, IndexError, SystemError)):
            compiled.read_rows(wrong, b"{}", array("I", (0, 2)), 1)
    with pytest.raises(ValueError, match="a part"):
        compiled.part_hashes(bytes(8), 0)
    with pytest.raises(ValueError, match="at once"):
        compiled.split_elements(b"{}", 3, 10)
