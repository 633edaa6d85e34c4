"""Bytes of uploads on their way to the disk: one writer for each upload at a time; none is counted before it is there.

The size of the staged file is how much came; what was synced survives the machine. It knows no database and no HTTP.
"""

import os
import threading
import time
from dataclasses import dataclass
from pathlib import Path

from tunery.core.errors import Problem
from tunery.core.files import is_disk_full

SYNC_BYTES = 32 << 20
SILENT_SECONDS = 10.0
"""A writer that got nothing for so long gives way to another: its connection is likely dead."""


@dataclass(frozen=True)
class Target:
    """Where an upload's bytes go."""

    id: str
    path: Path
    bytes: int
    """Of the whole file."""


class Writers:
    """Who writes which upload at this moment; one for each server process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._busy: dict[str, Writer] = {}

    def begin(self, target: Target, offset: int) -> "Writer":
        """Go on writing at `offset`. Raises Problem `upload_busy`, `upload_conflict`, `upload_disk_full`."""
        with self._lock:
            other = self._busy.get(target.id)
            if other is not None and not other.give_way():
                raise Problem("upload_busy", name=target.id, seconds=int(SILENT_SECONDS))
            writer = Writer(self, target)
            if writer.offset != offset:
                writer.close()
                raise Problem("upload_conflict", name=target.id, offset=writer.offset, sent=offset)
            self._busy[target.id] = writer
            return writer

    def offset(self, target: Target) -> int:
        """How many bytes are there for good."""
        with self._lock:
            writer = self._busy.get(target.id)
            if writer is not None:
                return writer.synced
            if not target.path.exists():
                return 0
            writer = Writer(self, target)
            writer.close()
            return writer.synced

    def release(self, target: Target) -> None:
        """Let nobody write on: the file is taken or removed. Raises Problem `upload_busy`."""
        with self._lock:
            writer = self._busy.get(target.id)
            if writer is not None and not writer.give_way():
                raise Problem("upload_busy", name=target.id, seconds=int(SILENT_SECONDS))
            self._busy.pop(target.id, None)

    def done(self, writer: "Writer") -> None:
        """A writer has ended."""
        with self._lock:
            if self._busy.get(writer.target.id) is writer:
                del self._busy[writer.target.id]


class Writer:
    """Appends to one upload. Its methods run in threads."""

    def __init__(self, writers: Writers, target: Target) -> None:
        self.target = target
        self._writers = writers
        self._lock = threading.Lock()
        self._open = True
        self._heard = time.monotonic()
        try:
            self._handle = os.open(target.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise self._full(error, 0) from error
        self.offset = self.synced = os.fstat(self._handle).st_size
        self._sync()

    def write(self, block: bytes) -> None:
        """Append. Raises Problem `upload_busy` when another took over, `invalid_request`, `upload_disk_full`."""
        with self._lock:
            if not self._open:
                raise Problem("upload_busy", name=self.target.id, seconds=int(SILENT_SECONDS))
            self._heard = time.monotonic()
            if self.offset + len(block) > self.target.bytes:
                detail = f"More bytes arrived than the {self.target.bytes} announced for this upload."
                raise Problem("invalid_request", detail=detail)
            rest = memoryview(block)
            while rest:
                try:
                    written = os.write(self._handle, rest)
                except OSError as error:
                    raise self._full(error, self.offset) from error
                self.offset += written
                rest = rest[written:]
            if self.offset - self.synced >= SYNC_BYTES:
                self._sync()

    def finish(self) -> int:
        """See everything on the disk; gives the offset. Raises Problem `upload_disk_full`."""
        try:
            with self._lock:
                if self._open:
                    self._sync()
            return self.synced
        finally:
            self.close()
            self._writers.done(self)

    def give_way(self) -> bool:
        """End, if nothing came for long; whether it is ended."""
        if self._open and time.monotonic() - self._heard < SILENT_SECONDS:
            return False
        self.close()
        return True

    def close(self) -> None:
        """Write no more; harmless twice."""
        with self._lock:
            if self._open:
                self._open = False
                os.close(self._handle)

    def _sync(self) -> None:
        try:
            os.fsync(self._handle)
        except OSError as error:
            # What the disk didn't take must not count as come.
            os.ftruncate(self._handle, self.synced)
            self.offset = self.synced
            raise self._full(error, self.synced) from error
        self.synced = self.offset

    def _full(self, error: OSError, offset: int) -> Exception:
        if not is_disk_full(error):
            return error
        folder = str(self.target.path.parent)
        return Problem("upload_disk_full", path=folder, offset=offset, bytes=self.target.bytes)
