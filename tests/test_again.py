"""What failed beside other tests is tried once more alone, and no more than a few."""

import subprocess
import sys
from pathlib import Path

import pytest

AGAIN = Path(__file__).resolve().parents[1] / "tools" / "again.py"
UNSTEADY = """
from pathlib import Path

def test_first_time_unlucky():
    came = Path("came")
    lucky = came.exists()
    came.touch()
    assert lucky

def test_good():
    pass
"""


def run(folder: Path, *command: str) -> tuple[int, str]:
    done = subprocess.run([sys.executable, *command], capture_output=True, text=True, cwd=folder, check=False)
    return done.returncode, done.stdout


@pytest.mark.parametrize(
    ("source", "code", "says"),
    [
        (UNSTEADY, 0, "UNSTEADY, to be mended"),
        ("def test_broken():\n    assert 0\n", 1, "once more, alone"),
        ("\n".join(f"def test_{n}():\n    assert 0\n" for n in range(4)), 1, ""),
        ("import nothing_of_this_name\n", 1, ""),
    ],
)
def test_once_more_alone(source: str, code: int, says: str, tmp_path: Path) -> None:
    (tmp_path / "test_it.py").write_text(source)
    assert run(tmp_path, "-m", "pytest", "-q", "-n0")[0] != 0
    found, said = run(tmp_path, str(AGAIN))
    assert (found, says in said) == (code, True)
    assert ("1 passed" in said) == (source is UNSTEADY)
