"""Waiting for what other processes do: for a state, never for a time.

How long to wait at most says only when a test that hangs is given up. It is far more than a loaded machine needs to
start Python with torch, and costs nothing where all is well.
"""

import time
from collections.abc import Callable

PATIENCE = 240.0
"""Seconds."""


def wait(what: str, ready: Callable[[], object], seconds: float = PATIENCE, pause: float = 0.02) -> None:
    """Return when `ready` holds. Fails, naming `what`, when it doesn't come to hold."""
    end = time.monotonic() + seconds
    while not ready():
        assert time.monotonic() < end, f"waited {seconds:.0f} s for {what}"
        time.sleep(pause)
