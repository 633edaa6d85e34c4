"""What the engine is asked to do while it works: control.json, and SIGTERM, which asks it to save and end."""

import signal
from types import FrameType

from tunery.core.attempt import AttemptFolder, Want


class Control:
    """Cheap to ask after every batch: control.json is read only when it changed."""

    def __init__(self, folder: AttemptFolder) -> None:
        self._folder = folder
        self._terminated = False
        self._mark: tuple[int, int] | None = None
        self._want: Want = "run"

    def listen(self) -> None:
        """From here on SIGTERM means pause: the control plane starts the run again later."""
        signal.signal(signal.SIGTERM, self._on_terminate)

    def _on_terminate(self, number: int, frame: FrameType | None) -> None:
        self._terminated = True

    def wanted(self) -> Want:
        """`cancel` and `stop` weigh more than the pause that SIGTERM asks for."""
        mark = self._folder.control_mark()
        if mark != self._mark:
            self._mark = mark
            self._want = self._folder.wanted()
        if self._want == "run" and self._terminated:
            return "pause"
        return self._want
