"""Which files of a connection an import reads. It reads none itself."""

from collections.abc import Sequence
from dataclasses import dataclass

from tunery.connections.kinds.point import RemoteFile, Source
from tunery.core.errors import Problem

FOLDER = "jsonl"
"""The sub-folder that is taken where there is one."""
ENDINGS = (
    ".jsonl", ".ndjson", ".json", ".csv", ".tsv", ".parquet", ".txt", ".zip", ".gz", ".zst",
)  # fmt: skip


@dataclass(frozen=True)
class Choice:
    """What is read, in order of name, and what lies beside it and isn't."""

    files: list[RemoteFile]
    passed_over: list[str]

    @property
    def bytes(self) -> int:
        return sum(file.size for file in self.files)


def choose(source: Source, path: str) -> Choice:
    """The files to read for `path`. Raises Problem `source_empty`, `invalid_request` and whatever the source raises."""
    source.check_path(path)
    folder = path.strip("/")
    found = source.files(f"{folder}/{FOLDER}" if folder else FOLDER)
    if not found or not _rows(found):
        found = source.files(folder)
    files = _rows(found)
    if not files:
        raise Problem("source_empty", path=path, endings=", ".join(ENDINGS))
    taken = {file.key for file in files}
    return Choice(files, sorted(file.key for file in found if file.key not in taken))


def _rows(found: Sequence[RemoteFile]) -> list[RemoteFile]:
    return sorted((file for file in found if _holds_rows(file)), key=lambda file: file.key)


def _holds_rows(file: RemoteFile) -> bool:
    name = file.key.rpartition("/")[2].lower()
    return file.size > 0 and not name.startswith((".", "_")) and name.endswith(ENDINGS)
