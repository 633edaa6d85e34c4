"""Processes on this machine, each the leader of a session of its own, so that it outlives the worker."""

import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from tunery.core.attempt import AttemptFolder
from tunery.core.process import ProcessIdentity, child_environment

API_VERSION = 1
TITLE = "This machine"
HELP = "Starts the engine as a process beside the server."

_ours: dict[int, subprocess.Popen[bytes]] = {}
"""Children of this very process, kept to be reaped; whoever else asks goes by process.json."""


def start(command: Sequence[str], folder: AttemptFolder, environment: Mapping[str, str]) -> None:
    """Start `command` with its output appended to the folder's log; it outlives the caller."""
    with folder.log.open("ab") as log:
        child = subprocess.Popen(
            list(command),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            close_fds=True,
            # Nothing in the folder it happens to start from may be imported.
            env={**child_environment(), "PYTHONSAFEPATH": "1", **environment},
        )
    identity = ProcessIdentity.of(child.pid)
    if identity is None:
        # Over already; a pid that starts at 0 is nobody's, so the folder says "not alive" for good.
        child.wait()
        identity = ProcessIdentity(child.pid, 0, "")
    else:
        _ours[child.pid] = child
    identity.save(folder.process)


def alive(folder: AttemptFolder) -> bool:
    """Whether what was started there still runs."""
    _reap()
    identity = ProcessIdentity.load(folder.process) or _unrecorded(folder)
    return identity is not None and identity.alive()


def terminate(folder: AttemptFolder) -> None:
    """Ask it to save and end (SIGTERM)."""
    _signal(folder, signal.SIGTERM)


def kill(folder: AttemptFolder) -> None:
    """End it and all it started, at once."""
    _signal(folder, signal.SIGKILL)


def _unrecorded(folder: AttemptFolder) -> ProcessIdentity | None:
    """A process that runs on the folder though whoever started it was killed before noting so; noted now."""
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes().split(b"\0")
        except OSError:  # it ended
            continue
        if words[-2:-1] == [os.fsencode(folder.path)]:
            identity = ProcessIdentity.of(int(path.parent.name))
            if identity is not None:
                identity.save(folder.process)
            return identity
    return None


def _signal(folder: AttemptFolder, number: signal.Signals) -> None:
    identity = ProcessIdentity.load(folder.process)
    if identity is not None:
        identity.signal_group(number)
    _reap()


def _reap() -> None:
    for pid, child in list(_ours.items()):
        if child.poll() is not None:
            del _ours[pid]
