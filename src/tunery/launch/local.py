"""Processes on this machine, each the leader of a session of its own, so that it outlives the worker.

One that was started ahead, with everything imported, is preferred to a new one.
"""

import os
import signal
import subprocess
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path

from tunery.core.attempt import AttemptFolder
from tunery.core.process import ProcessIdentity, child_environment
from tunery.core.standby import Standby

API_VERSION = 1
TITLE = "This machine"
HELP = "Starts the engine as a process beside the server."

_ours: dict[int, subprocess.Popen[bytes]] = {}
"""Children of this very process, kept to be reaped; whoever else asks goes by process.json."""

_Call = tuple[tuple[str, ...], tuple[tuple[str, str], ...]]
"""A command without its folder, and its whole environment."""
_standing: list[tuple[_Call, Standby]] = []
_dropped: list[int] = []
"""Pids of those that ended before they were told."""
_lock = threading.Lock()


def start(command: Sequence[str], folder: AttemptFolder, environment: Mapping[str, str]) -> None:
    """Start `command` with its output appended to the folder's log; it outlives the caller."""
    surroundings = _surroundings(environment)
    if command[-1] == str(folder.path) and _given((*command[:-1],), folder, surroundings):
        return
    with folder.log.open("ab") as log:
        child = subprocess.Popen(
            list(command),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            close_fds=True,
            env=surroundings,
        )
    identity = ProcessIdentity.of(child.pid)
    if identity is None:
        # Over already; a pid that starts at 0 is nobody's, so the folder says "not alive" for good.
        child.wait()
        identity = ProcessIdentity(child.pid, 0, "")
    else:
        _ours[child.pid] = child
    identity.save(folder.process)


def stand_by(command: Sequence[str], environment: Mapping[str, str]) -> ProcessIdentity | None:
    """Start `command` ahead, to be told its folder later; None where it ended at once."""
    surroundings = _surroundings(environment)
    one = Standby(command, surroundings)
    with _lock:
        _standing.append((_call(command, surroundings), one))
    return one.identity


def standing_by() -> tuple[list[ProcessIdentity], int]:
    """Those that wait to be told, and how many ended by themselves since this was asked last."""
    with _lock:
        for entry in list(_standing):
            if not entry[1].waits:
                _standing.remove(entry)
                _drop(entry[1])
        ended = len(_dropped)
        _dropped.clear()
        return [one.identity for _, one in _standing if one.identity is not None], ended


def stand_down() -> None:
    """End all that wait."""
    with _lock:
        while _standing:
            _standing.pop()[1].end()


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


def _surroundings(environment: Mapping[str, str]) -> dict[str, str]:
    # Nothing in the folder it happens to start from may be imported.
    return {**child_environment(), "PYTHONSAFEPATH": "1", **environment}


def _call(command: Sequence[str], surroundings: Mapping[str, str]) -> _Call:
    return tuple(command), tuple(sorted(surroundings.items()))


def _given(command: tuple[str, ...], folder: AttemptFolder, surroundings: Mapping[str, str]) -> bool:
    """Whether a process that waits for just this call took the folder."""
    call = _call(command, surroundings)
    while True:
        with _lock:
            entry = next((entry for entry in _standing if entry[0] == call), None)
            if entry is None:
                return False
            _standing.remove(entry)
        one = entry[1]
        if one.identity is None or not one.waits:
            _drop(one)
            continue
        folder.log.open("ab").close()
        # Noted before it is told: if this process is killed in between, the other ends too, and the folder says
        # so; the other way round, one might work that nobody knows of.
        one.identity.save(folder.process)
        if one.give(folder.path):
            _ours[one.child.pid] = one.child
            return True
        folder.process.unlink()
        _drop(one)


def _drop(one: Standby) -> None:
    one.end()
    _dropped.append(one.child.pid)


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
