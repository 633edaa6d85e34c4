"""An engine that needs no package for fewer bits doesn't import it: PEFT alone would."""

import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.toys import attempt, toy_model

STARTED = """
import sys
from tunery.engine import __main__ as engine
import tunery.engine.estimate
tunery.engine.estimate.estimate = lambda *given: sys.exit(0)
try:
    engine.main(sys.argv[1])
finally:
    import peft
    print("bitsandbytes" in sys.modules and sys.modules["bitsandbytes"] is not None)
"""


def imported(folder: Path, base: Path, **settings: Any) -> bool:
    """Whether the package is there after PEFT is, in an engine told of such a run."""
    asked = attempt(folder, base, kind="estimate", **settings)
    done = subprocess.run(
        [sys.executable, "-c", STARTED, str(asked.path)], capture_output=True, text=True, check=False
    )
    return done.stdout.split()[-1] == "True"


def test_fewer_bits_alone_bring_it(tmp_path: Path) -> None:
    base = toy_model(tmp_path / "base")
    assert not imported(tmp_path / "plain", base)
    assert imported(tmp_path / "bits", base, nf4_quantization=True)
