"""Keeps engines waiting, everything imported, while a worker has a slot to train in; notes them in the data folder.

It knows no task. What is started ahead, and how a run gets it, is the launchers' business.
"""

import logging
import time
from dataclasses import asdict

from tunery.core.files import write_json
from tunery.core.folder import DataFolder
from tunery.core.memory import available_bytes
from tunery.core.settings import ServerSettings
from tunery.launch.point import LAUNCHERS, StandsBy, engine_call
from tunery.schemas.standby import StandbyReport, WhyNone

_LOG = logging.getLogger("tunery.worker")
_LOOK_SECONDS = 1.0
_AGAIN_SECONDS = 30.0
_LONGEST_SECONDS = 3600.0
ENOUGH_BYTES = 2 * 2**30
"""So much memory must be free for one to be started; where it is less than half of it, those that wait are ended."""


class Standbys:
    """The engines that one worker keeps waiting. Call `tend` often, from one thread."""

    def __init__(self, settings: ServerSettings) -> None:
        self._settings = settings
        self._path = DataFolder(settings.folder).standby
        self._launchers = [launcher for _, launcher in LAUNCHERS.all() if isinstance(launcher, StandsBy)]
        self._look_at = 0.0
        self._idle_since = time.monotonic()
        self._not_before = 0.0
        self._pause = _AGAIN_SECONDS
        self._reported: StandbyReport | None = None

    def tend(self, *, busy: bool) -> None:
        """Start what is missing, end what there is no room for. `busy`: an engine works in every slot."""
        now = time.monotonic()
        if busy:
            self._idle_since = now
        if now < self._look_at:
            return
        self._look_at = now + _LOOK_SECONDS
        for launcher in self._launchers:
            self._tend(launcher, now, busy=busy)

    def close(self) -> None:
        """End them all."""
        for launcher in self._launchers:
            launcher.stand_down()
        self._path.unlink(missing_ok=True)

    def _tend(self, launcher: StandsBy, now: float, *, busy: bool) -> None:
        waiting, ended = launcher.standing_by()
        if ended:
            _LOG.warning("an engine that waited ended by itself; the next is started in %.0f s", self._pause)
            self._not_before = now + self._pause
            self._pause = min(_LONGEST_SECONDS, 2 * self._pause)
        free = available_bytes()
        if waiting and free < ENOUGH_BYTES // 2:
            _LOG.warning("memory is scarce: the engine that waited is ended")
            launcher.stand_down()
            waiting = []
        why = self._why_none(now, free, busy=busy)
        if why is None and len(waiting) < self._settings.standby_engines:
            command, environment = engine_call(self._settings)
            if (started := launcher.stand_by(command, environment)) is not None:
                waiting.append(started)
        self._report(
            StandbyReport(
                processes=[asdict(one) for one in waiting], why_none=None if waiting else why or "starting"
            )
        )

    def _why_none(self, now: float, free: int, *, busy: bool) -> WhyNone | None:
        """Why none may be started now."""
        if self._settings.standby_engines == 0:
            return "off"
        if now < self._not_before:
            return "failed"
        if busy:
            return "busy"
        if free < ENOUGH_BYTES:
            return "memory"
        # What follows at once on a task, as an evaluation does on a training, isn't to share the processor with it.
        return "starting" if now - self._idle_since < _LOOK_SECONDS else None

    def _report(self, report: StandbyReport) -> None:
        if report == self._reported:
            return
        if report.why_none == "memory":
            _LOG.warning(
                "no engine is kept waiting: less than %.0f GiB of memory are free", ENOUGH_BYTES / 2**30
            )
        write_json(self._path, report.model_dump())
        self._reported = report
