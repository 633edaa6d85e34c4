"""The data folder: where a server keeps everything. Its layout is spelled here only.

    DATA/
        VERSION         the layout's number
        server.lock     held by the one server of this folder
        secret.key      signs console sessions; readable by its owner only
        vault.key       seals the secrets in the database, unless TUNERY_SECRET_KEY does; its owner's only
        tunery.db       the database, unless a URL names another
        backups/        copies of the database, made before migrations
        blobs/          bytes by content
        runs/           attempt folders
        models/         published models
        uploads/        files on their way in, and those that may be imported again
        tokens/         rows as tokens, kept for later runs; may be deleted at any time
        standby.json    the engines that a worker keeps waiting
        logs/           server.log, worker.log, replicas'

It knows nothing of what is inside these.
"""

from dataclasses import dataclass
from pathlib import Path

LAYOUT = 1
"""The number of the layout above. A folder with a higher one is a newer Tunery's."""


@dataclass(frozen=True)
class DataFolder:
    """Paths of one data folder."""

    path: Path

    @property
    def version(self) -> Path:
        return self.path / "VERSION"

    @property
    def lock(self) -> Path:
        return self.path / "server.lock"

    @property
    def secret(self) -> Path:
        return self.path / "secret.key"

    @property
    def vault_key(self) -> Path:
        return self.path / "vault.key"

    @property
    def blobs(self) -> Path:
        return self.path / "blobs"

    @property
    def runs(self) -> Path:
        return self.path / "runs"

    @property
    def models(self) -> Path:
        return self.path / "models"

    @property
    def uploads(self) -> Path:
        return self.path / "uploads"

    @property
    def tokens(self) -> Path:
        return self.path / "tokens"

    @property
    def standby(self) -> Path:
        return self.path / "standby.json"

    @property
    def logs(self) -> Path:
        return self.path / "logs"

    @property
    def folders(self) -> list[Path]:
        """Those that exist from the first start."""
        return [self.blobs, self.runs, self.models, self.uploads, self.logs]


def fixes_of(upload: Path) -> Path:
    """Where the fixed rows of a file on its way in lie."""
    return upload.with_name(f"{upload.name}.fixes")
