"""The extension point of launchers: a command on an attempt folder is started, watched and ended."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from tunery.core.attempt import AttemptFolder
from tunery.core.extensions import Point


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


LAUNCHERS: Point[Launcher] = Point("tunery.launch", "launcher", api_version=1)
