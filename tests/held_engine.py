"""The real engine, which waits where the test wants it to: `python tests/held_engine.py ATTEMPT_DIR`.

It is held right after it told of a step of the training, or of a row of an evaluation.
"""

import sys
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # it is started as a file, from anywhere

from tests.hold import held
from tunery.core.attempt import AttemptFolder
from tunery.engine.__main__ import main

HELD_ENGINE = [sys.executable, __file__]


def hold_back(path: Path | None = None) -> None:
    """Make this process an engine that is held by the file at `path`, or the one that the environment names."""
    tell = AttemptFolder.append_event

    def tell_and_wait(self: AttemptFolder, event: dict[str, Any]) -> None:
        tell(self, event)
        if event["type"] == "metric" or event.get("stage", "").endswith("answers"):
            while held(event.get("done", event["step"]), path) and self.wanted() == "run":
                time.sleep(0.005)

    AttemptFolder.append_event = tell_and_wait


if __name__ == "__main__":
    hold_back()
    sys.exit(main(sys.argv[1]))
