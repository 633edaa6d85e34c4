"""Writes events.jsonl: numbers the events, stamps them, and speaks to the log too."""

import logging
from typing import Any, Literal

from tunery.core.attempt import AttemptFolder
from tunery.core.clock import now_us

LOG = logging.getLogger("tunery.engine")


class Events:
    """The engine's voice. Numbering goes on from what the file already holds."""

    def __init__(self, folder: AttemptFolder, attempt: int) -> None:
        self._folder = folder
        self._attempt = attempt
        earlier, _ = folder.read_events()
        self._seq = max((int(event["seq"]) for event in earlier), default=0)
        self.step = 0

    def write(self, type: str, **values: Any) -> None:
        """Append one event, at the current step."""
        self._seq += 1
        head = {"v": 1, "seq": self._seq, "attempt": self._attempt, "step": self.step, "time": now_us()}
        self._folder.append_event({**head, "type": type, **values})

    def log(self, message: str, level: Literal["info", "warning", "error"] = "info") -> None:
        """A sentence for people."""
        LOG.log(getattr(logging, level.upper()), message)
        self.write("log", level=level, message=message)

    def metric(self, values: dict[str, float]) -> None:
        """Values measured at the current step."""
        LOG.info("step %d %s", self.step, " ".join(f"{k}={v:.5g}" for k, v in values.items()))
        self.write("metric", values=values)

    def progress(self, stage: str, done: int, total: int) -> None:
        """How far a stage is; the log hears of its begin, each tenth and its end."""
        if done in (0, total) or done * 10 // total > (done - 1) * 10 // total:
            LOG.info("%s: row %d of %d", stage, done, total)
        self.write("progress", stage=stage, done=done, total=total)
