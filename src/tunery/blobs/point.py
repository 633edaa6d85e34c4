"""The extension point of blob stores: bytes addressed by the SHA-256 of their content."""

from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Protocol

from tunery.core.extensions import Point


class BlobStore(Protocol):
    """What `open_store` of a module in this folder returns."""

    def put_bytes(self, content: bytes) -> str:
        """Keep bytes; returns their SHA-256 in hex. The same bytes are kept once."""
        ...

    def put_file(self, path: Path) -> str:
        """Keep a file's bytes; returns their SHA-256."""
        ...

    def take_file(self, path: Path, digest: str) -> None:
        """Keep a file's bytes and take the file away. Its owner hashed them while writing and writes no more."""
        ...

    def open(self, digest: str) -> BinaryIO:
        """Read a blob. Raises FileNotFoundError."""
        ...

    def local_path(self, digest: str) -> Path:
        """A local file with the blob's bytes; must not be changed. Raises FileNotFoundError."""
        ...

    def exists(self, digest: str) -> bool: ...

    def renew(self, digest: str) -> bool:
        """Whether a blob is there; if so it counts as put just now, so that `collect` leaves it alone."""
        ...

    def stored(self) -> Iterator[str]:
        """Every blob's SHA-256, in no order."""
        ...

    def collect(self, digest: str, idle_seconds: float) -> int | None:
        """Forget a blob that nobody put or renewed for so long; returns its bytes, or None where it stays."""
        ...


class BlobModule(Protocol):
    """What a module in this folder offers."""

    API_VERSION: int

    def open_store(self, location: str) -> BlobStore: ...


BLOBS: Point[BlobModule] = Point("tunery.blobs", "blob store", api_version=1)
