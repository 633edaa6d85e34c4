"""Who a process is, beyond a pid that may be used again: pid, start time, boot.

Linux only, as `tunery up` is.
"""

import ctypes
import hashlib
import os
import signal
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path

from tunery.core.clock import boot_id
from tunery.core.files import read_json, write_json

_PR_SET_PDEATHSIG = 1
_KEPT = frozenset({"TUNERY_SECRET_KEY"})
"""For server and worker only."""


def child_environment() -> dict[str, str]:
    """This process's environment, as engines and replicas get it: without what they have no business with."""
    return {name: value for name, value in os.environ.items() if name.upper() not in _KEPT}


@cache
def _pids_of() -> str:
    """Names what a pid counts in: this boot, and in it this container, which numbers its processes on its own."""
    return hashlib.sha256(f"{boot_id()} {os.readlink('/proc/self/ns/pid')}".encode()).hexdigest()[:32]


@dataclass(frozen=True)
class ProcessIdentity:
    """A process that can't be mistaken for a later one with the same pid."""

    pid: int
    started: int
    boot: str

    @classmethod
    def of(cls, pid: int) -> "ProcessIdentity | None":
        """Identify a live process; None when there is none (a zombie counts as none)."""
        try:
            stat = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace")
        except (FileNotFoundError, ProcessLookupError):
            return None
        fields = stat.rpartition(")")[2].split()
        if fields[0] in "ZX":
            return None
        return cls(pid=pid, started=int(fields[19]), boot=_pids_of())

    def alive(self) -> bool:
        return ProcessIdentity.of(self.pid) == self

    def signal_group(self, number: signal.Signals) -> None:
        """Signal the process group this process leads; harmless when it is gone."""
        if self.alive():
            try:
                os.killpg(self.pid, number)
            except ProcessLookupError:
                return

    def save(self, path: Path) -> None:
        write_json(path, asdict(self))

    @classmethod
    def load(cls, path: Path) -> "ProcessIdentity | None":
        try:
            stored = read_json(path)
        except FileNotFoundError:
            return None
        return cls(**stored)  # pyright: ignore[reportArgumentType]


def die_with_parent(parent: int) -> None:
    """Ask the kernel to send this process SIGTERM when its parent, process `parent`, ends, however it ends."""
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
    if os.getppid() != parent:  # it ended before the kernel was asked
        os.kill(os.getpid(), signal.SIGTERM)
