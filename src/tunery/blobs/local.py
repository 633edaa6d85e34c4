"""Blobs in a folder: `sha256/ab/abcd…`. A blob is whole or absent. It knows nothing of what blobs hold."""

import errno
import hashlib
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from tunery.core.errors import Problem
from tunery.core.files import fsync_folder

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
        if not self.exists(digest):
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
            if not self.exists(digest):
                self._keep(file, aside, digest)
        return digest

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

    def delete(self, digest: str) -> None:
        """Forget a blob; harmless when it isn't there."""
        self._path(digest).unlink(missing_ok=True)

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
            with os.fdopen(handle, "wb") as file:
                yield file, aside
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise Problem("disk_full", path=str(self.folder)) from error
            raise
        finally:
            aside.unlink(missing_ok=True)

    def _keep(self, file: BinaryIO, aside: Path, digest: str) -> None:
        file.flush()
        os.fchmod(file.fileno(), 0o444)
        os.fsync(file.fileno())
        final = self._path(digest)
        final.parent.mkdir(parents=True, exist_ok=True)
        os.replace(aside, final)
        fsync_folder(final.parent)


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
