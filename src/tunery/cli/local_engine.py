"""An engine started here and watched until it ends. Ctrl-C asks it to save and end; a second one ends it at once.

It knows attempt folders and launchers, neither specs nor data.
"""

import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from tunery.cli.output import note
from tunery.cli.progress import training_view
from tunery.core.attempt import AttemptFolder
from tunery.core.errors import Problem
from tunery.core.settings import ServerSettings
from tunery.launch.point import Launcher, engine_call

_POLL = 0.1
"""Seconds between looks at the engine's folder: Ctrl-C is to be answered at once."""


class Asked:
    """How often this process was asked to end."""

    def __init__(self) -> None:
        self.times = 0

    def count(self, number: int, frame: FrameType | None) -> None:
        self.times += 1


@contextmanager
def _interrupts() -> Iterator[Asked]:
    """Count SIGINT and SIGTERM instead of dying of them."""
    asked = Asked()
    before = {number: signal.signal(number, asked.count) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield asked
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def run_engine(launcher: Launcher, folder: AttemptFolder) -> tuple[dict[str, Any] | None, bool]:
    """Start an engine on a prepared folder and show what it does; returns (its result, whether it was interrupted).

    No result: it ended, by itself or by force, before it could write one.
    """
    command, environment = engine_call(ServerSettings())
    with _interrupts() as asked:
        launcher.start([*command, str(folder.path)], folder, environment)
        try:
            _watch(launcher, folder, asked)
        except BaseException:
            launcher.kill(folder)
            raise
        return folder.read_result(), asked.times > 0


def _watch(launcher: Launcher, folder: AttemptFolder, asked: Asked) -> None:
    offset = done = 0
    with training_view() as view:
        while True:
            alive = launcher.alive(folder)
            events, offset = folder.read_events(offset)
            for event in events:
                view.event(event)
            if not alive:
                return
            if asked.times > done:
                done = asked.times
                _pass_on(launcher, folder, done)
            time.sleep(_POLL)


def _pass_on(launcher: Launcher, folder: AttemptFolder, times: int) -> None:
    if times == 1:
        note("Saving a checkpoint and stopping. Press Ctrl-C again to stop at once, without saving.")
        launcher.terminate(folder)
    else:
        launcher.kill(folder)


def last_words(folder: AttemptFolder) -> str:
    """The last line of the engine's log."""
    try:
        lines = folder.log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    except FileNotFoundError:
        return "it wrote no log"
    return lines[-1][:300] if lines else "its log is empty"


def lost(folder: AttemptFolder) -> Problem:
    """The Problem of an engine without a result."""
    return Problem(
        "engine_lost", detail=last_words(folder), log=str(folder.log), path=str(folder.path.parent)
    )
