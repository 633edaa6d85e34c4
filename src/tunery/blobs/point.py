"""The extension point of blob stores: bytes addressed by the SHA-256 of their content."""

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

    def open(self, digest: str) -> BinaryIO:
        """Read a blob. Raises FileNotFoundError."""
        ...

    def local_path(self, digest: str) -> Path:
        """A local file with the blob's bytes; must not be changed. Raises FileNotFoundError."""
        ...

    def exists(self, digest: str) -> bool: ...

    def delete(self, digest: str) -> None:
        """Forget a blob; harmless when it isn't there."""
        ...


class BlobModule(Protocol):
    """What a module in this folder offers."""

    API_VERSION: int

    def open_store(self, location: str) -> BlobStore: ...


BLOBS: Point[BlobModule] = Point("tunery.blobs", "blob store", api_version=1)
