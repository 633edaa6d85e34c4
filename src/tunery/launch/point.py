"""The extension point of launchers: a command on an attempt folder is started, watched and ended."""

import sys
from collections.abc import Mapping, Sequence
from typing import Protocol, runtime_checkable

from tunery.core.attempt import AttemptFolder
from tunery.core.extensions import Point
from tunery.core.process import ProcessIdentity
from tunery.core.settings import ServerSettings


class Launcher(Protocol):
    """What a module in this folder offers. All that it must remember lies in the folder."""

    API_VERSION: int
    TITLE: str
    HELP: str

    def start(self, command: Sequence[str], folder: AttemptFolder, environment: Mapping[str, str]) -> None:
        """Start `command` with its output appended to the folder's log; it outlives the caller."""
        ...

    def alive(self, folder: AttemptFolder) -> bool:
        """Whether what was started there still runs."""
        ...

    def terminate(self, folder: AttemptFolder) -> None:
        """Ask it to save and end (SIGTERM)."""
        ...

    def kill(self, folder: AttemptFolder) -> None:
        """End it and all it started, at once."""
        ...


@runtime_checkable
class StandsBy(Protocol):
    """What a launcher may offer besides: processes started ahead, that `start` prefers where the call is the same."""

    def stand_by(self, command: Sequence[str], environment: Mapping[str, str]) -> ProcessIdentity | None:
        """Start `command` with `-` in the place of the folder; None where it ended at once."""
        ...

    def standing_by(self) -> tuple[list[ProcessIdentity], int]:
        """Those that wait, and how many ended by themselves since this was asked last."""
        ...

    def stand_down(self) -> None:
        """End those that wait. They also end with the process that started them."""
        ...


def engine_call(settings: ServerSettings) -> tuple[list[str], dict[str, str]]:
    """The command that runs an engine, less the folder, and what its environment has beside the caller's.

    The same for one that stands by: what must be known before torch is imported goes here.
    """
    return settings.engine_command or [sys.executable, "-m", "tunery.engine"], {}


LAUNCHERS: Point[Launcher] = Point("tunery.launch", "launcher", api_version=1)
