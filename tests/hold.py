"""Engines that wait for the test: no engine goes beyond a step before it may.

A run that is to be caught in its middle must still be there when the test comes to it, however slow the machine is. So
a file says how far engines may go, and the tests' engines look at it before they go on. Which file it is they are told
by an environment variable. An engine that is held hears what is asked of it. What a killed test left held goes on by
itself some day.
"""

import os
import time
from dataclasses import dataclass
from pathlib import Path

from tests.patience import PATIENCE

VARIABLE = "TUNERY_TEST_HOLD"


@dataclass(frozen=True)
class Hold:
    """The file, for the test."""

    path: Path

    @property
    def environment(self) -> dict[str, str]:
        """What the engines' surroundings must have."""
        return {VARIABLE: str(self.path)}

    def at(self, step: int) -> None:
        """No engine goes beyond `step` from now on."""
        aside = self.path.with_name(f".{self.path.name}")
        aside.write_text(str(step))
        aside.rename(self.path)

    def release(self) -> None:
        """All go on."""
        self.path.unlink(missing_ok=True)


def held(step: int, path: Path | None = None) -> bool:
    """Whether an engine at `step` must wait. Without `path`: by the file that the environment names."""
    if path is None:
        if VARIABLE not in os.environ:
            return False
        path = Path(os.environ[VARIABLE])
    try:
        forgotten = time.time() - path.stat().st_mtime > 10 * PATIENCE
        return not forgotten and step >= int(path.read_text())
    except FileNotFoundError:
        return False
