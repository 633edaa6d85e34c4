"""Blobs in a folder: `sha256/ab/abcd…`. A blob is whole or absent. It knows nothing of what blobs hold."""

import fcntl
import hashlib
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from tunery.core.errors import Problem
from tunery.core.files import fsync_folder, is_disk_full

API_VERSION = 1
_COPY = 1 << 20
_LEFT_SECONDS = 3600.0
_HEX = frozenset("0123456789abcdef")


class LocalBlobs:
    """A blob store in one folder of this machine."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._aside = folder / "incoming"
        self._aside.mkdir(parents=True, exist_ok=True)

    def put_bytes(self, content: bytes) -> str:
        """Keep bytes; returns their SHA-256 in hex. The same bytes are kept once."""
        digest = hashlib.sha256(content).hexdigest()
        if not self.renew(digest):
            with self._incoming() as (file, aside):
                file.write(content)
                self._keep(file, aside, digest)
        return digest

    def put_file(self, path: Path) -> str:
        """Keep a file's bytes; returns their SHA-256."""
        with path.open("rb") as source, self._incoming() as (file, aside):
            # Hashed while copied: the file may change meanwhile, and a blob's name must be true.
            copied = hashlib.sha256()
            while block := source.read(_COPY):
                copied.update(block)
                file.write(block)
            digest = copied.hexdigest()
            if not self.renew(digest):
                self._keep(file, aside, digest)
        return digest

    def take_file(self, path: Path, digest: str) -> None:
        """Keep a file's bytes and take the file away. Its owner hashed them while writing and writes no more."""
        if not self.renew(digest):
            if path.stat().st_dev != self.folder.stat().st_dev:
                self.put_file(path)
            else:
                with self._room(), path.open("rb") as file:
                    os.utime(path)
                    self._keep(file, path, digest)
        path.unlink(missing_ok=True)

    def open(self, digest: str) -> BinaryIO:
        """Read a blob. Raises FileNotFoundError."""
        return self._path(digest).open("rb")

    def local_path(self, digest: str) -> Path:
        """A local file with the blob's bytes; must not be changed. Raises FileNotFoundError."""
        path = self._path(digest)
        if not path.is_file():
            raise FileNotFoundError(path)
        return path

    def exists(self, digest: str) -> bool:
        return self._path(digest).is_file()

    def renew(self, digest: str) -> bool:
        """Whether a blob is there; if so it counts as put just now, so that `collect` leaves it alone."""
        with self._locked(fcntl.LOCK_SH):
            try:
                os.utime(self._path(digest))
            except FileNotFoundError:
                return False
        return True

    def stored(self) -> Iterator[str]:
        """Every blob's SHA-256, in no order."""
        for path in (self.folder / "sha256").glob("??/*"):
            yield path.name

    def collect(self, digest: str, idle_seconds: float) -> int | None:
        """Forget a blob that nobody put or renewed for so long; returns its bytes, or None where it stays."""
        path = self._path(digest)
        # Nobody can renew or replace the blob between the look and the deletion.
        with self._locked(fcntl.LOCK_EX):
            try:
                found = path.stat()
            except FileNotFoundError:
                return None
            if time.time() - found.st_mtime < idle_seconds:
                return None
            path.unlink()
        return found.st_size

    def forget_leftovers(self) -> None:
        """Remove what killed processes left on the way in. What is still written to was changed lately."""
        for path in self._aside.iterdir():
            with suppress(FileNotFoundError):
                if time.time() - path.stat().st_mtime > _LEFT_SECONDS:
                    path.unlink()

    def _path(self, digest: str) -> Path:
        if len(digest) != 64 or not _HEX.issuperset(digest):
            raise FileNotFoundError(f"no blob is named {digest!r}")
        return self.folder / "sha256" / digest[:2] / digest

    @contextmanager
    def _incoming(self) -> Iterator[tuple[BinaryIO, Path]]:
        """A file beside the store that is gone afterwards, whatever happens. Raises Problem `disk_full`."""
        handle, name = tempfile.mkstemp(dir=self._aside)
        aside = Path(name)
        try:
            with self._room(), os.fdopen(handle, "wb") as file:
                yield file, aside
        finally:
            aside.unlink(missing_ok=True)

    @contextmanager
    def _room(self) -> Iterator[None]:
        """Raises Problem `disk_full` where there is no room."""
        try:
            yield
        except OSError as error:
            if is_disk_full(error):
                raise Problem("disk_full", path=str(self.folder)) from error
            raise

    def _keep(self, file: BinaryIO, aside: Path, digest: str) -> None:
        file.flush()
        os.fchmod(file.fileno(), 0o444)
        os.fsync(file.fileno())
        final = self._path(digest)
        final.parent.mkdir(parents=True, exist_ok=True)
        with self._locked(fcntl.LOCK_SH):
            os.replace(aside, final)
        fsync_folder(final.parent)

    @contextmanager
    def _locked(self, how: int) -> Iterator[None]:
        """Hold the store against `collect` of any process (shared), or against everyone (exclusive)."""
        handle = os.open(self.folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(handle, how)
            yield
        finally:
            os.close(handle)


def open_store(location: str) -> LocalBlobs:
    """The store in the folder `location`; made where it isn't there yet."""
    folder = Path(location).expanduser().resolve()
    try:
        store = LocalBlobs(folder)
        store.forget_leftovers()
        return store
    except OSError as error:
        raise Problem(
            "data_folder_unusable", path=str(folder), detail=error.strerror or str(error)
        ) from error
