"""Sleeps until a file in a folder changes: what others write on this machine is noticed at once, without asking often.

It doesn't know what the files are. Where the kernel gives no watch it only sleeps.
"""

import ctypes
import os
import select
import struct
import time
from pathlib import Path
from types import TracebackType

_MODIFIED = 0x2
_MOVED_HERE = 0x80
_HEAD = struct.Struct("iIII")
_BUFFER = 1 << 16


class FolderWatch:
    """Watches the files right in a folder whose names begin with `prefix`."""

    def __init__(self, folder: Path, prefix: str = "") -> None:
        self._prefix = os.fsencode(prefix)
        self._poll = select.poll()
        libc = ctypes.CDLL(None, use_errno=True)
        self._handle = libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        if self._handle >= 0:
            libc.inotify_add_watch(self._handle, os.fsencode(folder), _MODIFIED | _MOVED_HERE)
            self._poll.register(self._handle, select.POLLIN)

    def __enter__(self) -> "FolderWatch":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Watch no more."""
        if self._handle >= 0:
            self._poll.unregister(self._handle)
            os.close(self._handle)
            self._handle = -1

    def wait(self, seconds: float) -> bool:
        """Sleep until one of the files changes, or has since the last call; False when the time ran out."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            if self._poll.poll(left * 1000) and self._changed():
                return True
        return False

    def _changed(self) -> bool:
        events = os.read(self._handle, _BUFFER)
        found, at = False, 0
        while at < len(events):
            _, _, _, size = _HEAD.unpack_from(events, at)
            at += _HEAD.size
            found = found or events[at : at + size].startswith(self._prefix)
            at += size
        return found
