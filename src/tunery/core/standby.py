"""A process that is started before there is work for it, and told later which folder to work on.

Both ends of the line between the two: a pair of sockets, one of them the waiting process's standard input. While it
waits it ends with whoever started it, however that one ends; once told, it is on its own.
It doesn't know what the process does.
"""

import os
import socket
import subprocess
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path

from tunery.core.process import ProcessIdentity

WAIT = "-"
"""In the place of a folder on the command line: it will be told."""
_ANSWER_SECONDS = 10.0
_TAKEN = b"+"


class Standby:
    """A waiting process, for the one who started it."""

    def __init__(self, command: Sequence[str], environment: Mapping[str, str]) -> None:
        """Start `command -`. What it says while it waits goes where this process's own words go."""
        ours, theirs = socket.socketpair()
        with theirs:
            self.child = subprocess.Popen(
                [*command, WAIT],
                stdin=theirs.fileno(),
                start_new_session=True,
                close_fds=True,
                env=dict(environment),
            )
        self._line = ours
        self._line.settimeout(_ANSWER_SECONDS)
        self.identity = ProcessIdentity.of(self.child.pid)

    @property
    def waits(self) -> bool:
        """Whether it is still there."""
        return self.identity is not None and self.identity.alive() and self.child.poll() is None

    def give(self, folder: Path) -> bool:
        """Tell it its folder; False where it didn't take it, and then it is ended."""
        try:
            with self._line:
                self._line.sendall(os.fsencode(folder.absolute()) + b"\n")
                taken = self._line.recv(1) == _TAKEN
        except OSError:
            taken = False
        if not taken:
            self.end()
        return taken

    def end(self) -> None:
        """End it at once."""
        self._line.close()
        self.child.kill()
        self.child.wait()


class Told:
    """The waiting process's own end. Listens from the moment it is made, so that others can import meanwhile."""

    def __init__(self) -> None:
        self._folder: Path | None = None
        self._thread = threading.Thread(target=self._listen, name="standby", daemon=True)
        self._thread.start()

    def folder(self) -> Path:
        """What to work on, as soon as it is known. Standard input leads nowhere from then on."""
        self._thread.join()
        assert self._folder is not None
        return self._folder

    def _listen(self) -> None:
        told = b""
        while not told.endswith(b"\n"):
            more = os.read(0, 4096)
            if not more:  # whoever would tell is gone
                os._exit(0)
            told += more
        self._folder = Path(os.fsdecode(told[:-1]))
        try:
            os.write(0, _TAKEN)
        except OSError:
            os._exit(0)  # nobody knows any more that it is at work
        nowhere = os.open(os.devnull, os.O_RDONLY)
        os.dup2(nowhere, 0)
        os.close(nowhere)


def speak_into(log: Path) -> None:
    """From now on this process's output is appended to a file."""
    handle = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    for number in (1, 2):
        os.dup2(handle, number)
    os.close(handle)
