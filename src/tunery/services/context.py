"""What every use case is given: an open transaction, the settings, the blobs, the project."""

from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Connection

from tunery.blobs.point import BlobStore
from tunery.core.settings import ServerSettings


@dataclass(frozen=True)
class Context:
    """One caller's view. The edge opens and commits the transaction."""

    conn: Connection
    settings: ServerSettings
    blobs: BlobStore
    project: str

    @property
    def folder(self) -> Path:
        """The data folder."""
        return self.settings.folder
