"""One file with everything a server keeps, and a server made from it again.

    backup.json         what this is: version, schema, the folder it came from
    tables/NAME.jsonl   the database, row by row; the same from SQLite and PostgreSQL
    files/…             the data folder: blobs, runs, models, uploads, keys
    sums.json           the SHA-256 of everything before it

A tar archive. It can be written while the server works: the database is read in one snapshot, and what it refers to
is written before it. The keys of the vault and of sessions are in it, so only its owner may read it.
"""

import base64
import errno
import hashlib
import io
import os
import shutil
import tarfile
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import IO, Any

import msgspec
from sqlalchemy import Connection, Engine, LargeBinary, MetaData, Table, select, text

from tunery import __version__
from tunery.core.clock import now_us
from tunery.core.errors import Problem
from tunery.core.files import FolderLock
from tunery.core.folder import DataFolder
from tunery.core.settings import ServerSettings
from tunery.db.engine import connect, migrate, open_database, reading, versions, writing
from tunery.db.tables import METADATA

_VERSION = 1
_ABOUT, _SUMS = "backup.json", "sums.json"
_ROWS_AT_ONCE = 1000
_PIECE = 1 << 20
Progress = Callable[[int, int], None]
"""Called with (bytes done, bytes in all)."""


class About(msgspec.Struct, frozen=True):
    """What a backup says of itself."""

    v: int
    tunery: str
    schema: str
    folder: str
    created: int


def write_backup(settings: ServerSettings, target: Path, progress: Progress | None = None) -> int:
    """Write everything into `target`, whole or not at all; returns its size in bytes.

    Raises Problem `file_exists`, `data_folder_unusable`, `disk_full`.
    """
    if target.exists():
        raise Problem("file_exists", path=str(target))
    folder = DataFolder(settings.folder)
    if not folder.version.exists():
        raise Problem("data_folder_unusable", path=str(folder.path), detail="it contains no server data")
    aside = target.with_name(f".{target.name}.{os.getpid()}.partial")
    engine = open_database(settings)
    try:
        with os.fdopen(os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            with _Archive(file) as archive, reading(engine) as connection:
                schema, _ = versions(connection)
                about = About(_VERSION, __version__, schema or "", str(folder.path), now_us())
                archive.add_bytes(_ABOUT, msgspec.json.encode(about))
                for table in METADATA.sorted_tables:
                    _add_table(archive, connection, table, aside.parent)
                _add_files(archive, folder, progress)
                archive.finish()
            file.flush()
            os.fsync(file.fileno())
        aside.rename(target)
    except OSError as error:
        if error.errno == errno.ENOSPC:
            raise Problem("disk_full", path=str(target.parent)) from error
        raise
    finally:
        aside.unlink(missing_ok=True)
        engine.dispose()
    return target.stat().st_size


def restore_backup(source: Path, settings: ServerSettings, progress: Progress | None = None) -> About:
    """Make the data folder and the database of `settings`, both empty, what they were when `source` was written.

    Raises Problem `file_missing`, `backup_broken`, `restore_needs_empty`, `data_folder_newer`; nothing stays then.
    """
    if not source.exists():
        raise Problem("file_missing", path=str(source), base=str(Path.cwd()))
    folder = DataFolder(settings.folder)
    if folder.path.exists() and any(folder.path.iterdir()):
        raise Problem("restore_needs_empty", what=f"The data folder {folder.path}")
    made = not folder.path.exists()
    folder.path.mkdir(mode=0o700, parents=True, exist_ok=True)
    lock = FolderLock(folder.lock)
    lock.acquire()
    try:
        with tarfile.open(source, "r:") as tar:
            about = _restore(tar, source, settings, folder, progress)
    except (tarfile.TarError, msgspec.MsgspecError, EOFError) as error:
        _clear(folder.path, made)
        raise Problem("backup_broken", path=str(source), detail=str(error) or "it is cut off") from error
    except BaseException:
        _clear(folder.path, made)
        raise
    finally:
        lock.release()
    folder.lock.unlink(missing_ok=True)
    return about


class _Archive:
    """A tar file that is written from front to back, with the sums at its end."""

    def __init__(self, file: IO[bytes]) -> None:
        self._tar = tarfile.open(fileobj=file, mode="w:", format=tarfile.PAX_FORMAT)  # noqa: SIM115 - closed below
        self._sums: dict[str, str] = {}

    def __enter__(self) -> "_Archive":
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            self._tar.close()

    def add(self, name: str, content: IO[bytes], size: int) -> None:
        """So many bytes under a name. Raises OSError where they aren't there."""
        info = tarfile.TarInfo(name)
        info.size, info.mode = size, 0o600
        summed = _Summed(content)
        self._tar.addfile(info, summed)  # pyright: ignore[reportArgumentType] - it reads, no more
        self._sums[name] = summed.digest.hexdigest()

    def add_bytes(self, name: str, content: bytes) -> None:
        self.add(name, io.BytesIO(content), len(content))

    def finish(self) -> None:
        self.add_bytes(_SUMS, msgspec.json.encode(self._sums))


class _Summed:
    """Bytes on their way through, with their SHA-256."""

    def __init__(self, content: IO[bytes]) -> None:
        self._content = content
        self.digest = hashlib.sha256()

    def read(self, size: int = -1) -> bytes:
        piece = self._content.read(size)
        self.digest.update(piece)
        return piece


def _add_table(archive: _Archive, connection: Connection, table: Table, near: Path) -> None:
    """The rows of a table; gathered in a file beside the target first, since a tar says sizes before contents."""
    with tempfile.TemporaryFile(dir=near) as rows:
        found = connection.execution_options(yield_per=_ROWS_AT_ONCE).execute(select(table))
        for row in found.mappings():
            rows.write(msgspec.json.encode({name: _plain(value) for name, value in row.items()}) + b"\n")
        size = rows.tell()
        rows.seek(0)
        archive.add(f"tables/{table.name}.jsonl", rows, size)


def _plain(value: Any) -> Any:
    return base64.b64encode(value).decode() if isinstance(value, bytes) else value


def _add_files(archive: _Archive, folder: DataFolder, progress: Progress | None) -> None:
    files = list(_files(folder))
    total, done = sum(size for _, size in files), 0
    for path, size in files:
        try:
            with path.open("rb") as content:
                archive.add(f"files/{path.relative_to(folder.path)}", content, size)
        except FileNotFoundError:
            if folder.runs not in path.parents:
                raise Problem("backup_moved", path=str(path)) from None
            # A checkpoint that its run has replaced meanwhile: the server knows that one may be gone.
        done += size
        if progress:
            progress(done, total)


def _files(folder: DataFolder) -> Iterator[tuple[Path, int]]:
    """What is kept of a data folder: no locks, logs, database files, and nothing that is half written."""
    for path in (folder.version, folder.secret, folder.vault_key):
        if path.exists():
            yield path, path.stat().st_size
    for part in (folder.blobs, folder.runs, folder.models, folder.uploads):
        for path in sorted(part.rglob("*")):
            if path.is_file() and not path.is_symlink() and path.parent != folder.blobs / "incoming":
                yield path, path.stat().st_size


def _restore(
    tar: tarfile.TarFile,
    source: Path,
    settings: ServerSettings,
    folder: DataFolder,
    progress: Progress | None,
) -> About:
    about = _read_about(tar, source)
    total, sums = source.stat().st_size, {}
    engine = connect(settings.url)
    try:
        with reading(engine) as connection:
            if versions(connection)[0] is not None:
                raise Problem("restore_needs_empty", what="The database")
        migrate(engine, folder.path, to=about.schema)
        with _or_empty(engine), writing(engine) as connection:
            for info in tar:
                content = _content(tar, info, source)
                if info.name == _ABOUT:
                    continue
                if info.name == _SUMS:
                    _check_sums(msgspec.json.decode(content.read()), sums, source)
                    break
                summed = _Summed(content)
                if info.name.startswith("tables/"):
                    _fill(connection, info.name, summed, about.folder, str(folder.path))
                else:
                    _write(folder.path, info.name, summed, source)
                sums[info.name] = summed.digest.hexdigest()
                if progress:
                    progress(info.offset_data + info.size, total)
            else:
                raise Problem("backup_broken", path=str(source), detail="it is cut off")
        migrate(engine, folder.path)
    finally:
        engine.dispose()
    for part in folder.folders:
        part.mkdir(mode=0o700, exist_ok=True)
    return about


@contextmanager
def _or_empty(engine: Engine) -> Iterator[None]:
    """Leave the database as empty as it was when something goes wrong."""
    try:
        yield
    except BaseException:
        with writing(engine) as connection:
            METADATA.drop_all(connection)
            connection.execute(text("DROP TABLE IF EXISTS alembic_version"))
        raise


def _read_about(tar: tarfile.TarFile, source: Path) -> About:
    first = tar.next()
    if first is None or first.name != _ABOUT:
        raise Problem("backup_broken", path=str(source), detail="it wasn't written by Tunery")
    about = msgspec.json.decode(_content(tar, first, source).read(), type=About)
    if about.v > _VERSION:
        raise Problem("data_folder_newer", path=str(source), found=f"backup {about.v}")
    return about


def _content(tar: tarfile.TarFile, info: tarfile.TarInfo, source: Path) -> IO[bytes]:
    content = tar.extractfile(info) if info.isreg() else None
    if content is None:
        raise Problem("backup_broken", path=str(source), detail=f"{info.name!r} isn't a regular file")
    return content


def _check_sums(wanted: dict[str, str], found: dict[str, str], source: Path) -> None:
    for name in [_ABOUT, *found]:
        if name != _ABOUT and wanted.get(name) != found[name]:
            raise Problem("backup_broken", path=str(source), detail=f"{name!r} differs from what was written")
    if missing := wanted.keys() - found.keys() - {_ABOUT}:
        raise Problem("backup_broken", path=str(source), detail=f"{min(missing)!r} is missing")


def _fill(connection: Connection, name: str, content: _Summed, old: str, new: str) -> None:
    """Insert a table's rows; paths below the old data folder become paths below the new one."""
    table = Table(PurePosixPath(name).stem, MetaData(), autoload_with=connection)  # as it was at that schema
    binary = {column.name for column in table.columns if isinstance(column.type, LargeBinary)}
    rows: list[dict[str, Any]] = []
    for line in _lines(content):
        values = msgspec.json.decode(line)
        rows.append(
            {
                name: base64.b64decode(value)
                if name in binary and value is not None
                else _moved(value, old, new)
                for name, value in values.items()
            }
        )
        if len(rows) == _ROWS_AT_ONCE:
            connection.execute(table.insert(), rows)
            rows = []
    if rows:
        connection.execute(table.insert(), rows)


def _lines(content: _Summed) -> Iterator[bytes]:
    left = b""
    while piece := content.read(_PIECE):
        *lines, left = (left + piece).split(b"\n")
        yield from lines


def _moved(value: Any, old: str, new: str) -> Any:
    if isinstance(value, str):
        return new + value[len(old) :] if value == old or value.startswith(old + "/") else value
    if isinstance(value, list):
        return [_moved(one, old, new) for one in value]
    if isinstance(value, dict):
        return {name: _moved(one, old, new) for name, one in value.items()}
    return value


def _write(folder: Path, name: str, content: _Summed, source: Path) -> None:
    parts = PurePosixPath(name).parts
    if parts[0] != "files" or len(parts) < 2 or ".." in parts or name.startswith("/"):
        raise Problem("backup_broken", path=str(source), detail=f"{name!r} isn't part of a backup")
    path = folder.joinpath(*parts[1:])
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        while piece := content.read(_PIECE):
            file.write(piece)
        file.flush()
        os.fsync(file.fileno())


def _clear(folder: Path, made: bool) -> None:
    """As if the restoring had never begun."""
    for path in folder.iterdir():
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    if made:
        folder.rmdir()
