"""Accepted rows as immutable blobs: shards of compressed frames, an index per shard, one manifest per version.

    manifest   JSON: format, row kind, counts, content hash, shards in order
    index      JSON: [[offset, bytes, rows], …], the frames of one shard
    shard      zstd frames end to end; each holds whole rows, one canonical JSON a line

The same rows always give the same blobs, so equal versions share their bytes. The digest of the manifest
names the version. This module doesn't know of datasets, projects or files.
"""

import contextlib
import errno
import hashlib
import tempfile
from bisect import bisect_right
from collections import deque
from collections.abc import Iterator, Sequence
from itertools import accumulate
from pathlib import Path
from types import TracebackType
from typing import BinaryIO

import msgspec
import zstandard

from tunery.blobs.point import BlobStore
from tunery.core.errors import Problem
from tunery.core.files import sha256_file
from tunery.data.pipeline import Beside
from tunery.data.rows import Row, decode_row
from tunery.schemas.dataset import RowKind

FRAME_BYTES = 256 << 10
"""A frame is closed by the row that reaches this: what must be unpacked to read one row."""
SHARD_BYTES = 64 << 20
"""A shard is closed by the frame that reaches this, counted before compression."""
_LEVEL = 3


class Shard(msgspec.Struct, frozen=True):
    """One entry of a manifest."""

    digest: str
    index: str
    rows: int
    bytes: int
    """Compressed."""


class Manifest(msgspec.Struct, frozen=True):
    """What a version consists of."""

    v: int
    format: str
    row_kind: RowKind
    rows: int
    characters: int
    content_hash: str
    shards: list[Shard]


_MANIFEST = msgspec.json.Decoder(Manifest)
_INDEX = msgspec.json.Decoder(list[tuple[int, int, int]])


class VersionWriter:
    """Append rows, then `finish`. Leaving the `with` block unfinished keeps nothing."""

    def __init__(self, blobs: BlobStore, *, scratch: Path | None = None) -> None:
        self._blobs = blobs
        self._folder = tempfile.TemporaryDirectory(prefix="tunery-rows-", dir=scratch)
        self._compressor = zstandard.ZstdCompressor(level=_LEVEL, write_checksum=True)
        self._beside = Beside(self._write_frame)
        self._lines: list[bytes] = []
        self._frame_bytes = 0
        self._shard_bytes = 0
        self._file: BinaryIO | None = None
        self._frames: list[list[tuple[int, int, int]]] = []
        self._sizes: deque[tuple[int, int]] = deque()
        """Rows and bytes of the frames that are being compressed."""
        self._rows = 0
        self._characters = 0

    def __enter__(self) -> "VersionWriter":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._beside.close()
        if self._file is not None:
            # What can't be flushed is thrown away with the folder.
            with contextlib.suppress(OSError):
                self._file.close()
        self._folder.cleanup()

    def append(self, lines: Sequence[bytes], characters: int) -> None:
        """Add rows in canonical form, with so many characters together. Raises Problem `disk_full`."""
        self._rows += len(lines)
        self._characters += characters
        for line in lines:
            self._lines.append(line)
            self._frame_bytes += len(line) + 1
            if self._frame_bytes >= FRAME_BYTES:
                self._close_frame()

    def finish(self, content_hash: str, format: str, row_kind: RowKind) -> str:
        """Put everything into the blob store, the manifest last; returns the manifest's digest."""
        self._close_frame()
        self._beside.finish()
        self._close_shard()
        kept: list[str] = []
        try:
            shards = [self._put_shard(number, frames, kept) for number, frames in enumerate(self._frames)]
            manifest = Manifest(
                v=1,
                format=format,
                row_kind=row_kind,
                rows=self._rows,
                characters=self._characters,
                content_hash=content_hash,
                shards=shards,
            )
            return self._put_bytes(msgspec.json.encode(manifest), kept)
        except BaseException:
            for digest in kept:
                self._blobs.delete(digest)
            raise

    def _put_shard(self, number: int, frames: list[tuple[int, int, int]], kept: list[str]) -> Shard:
        path = self._path(number)
        digest = sha256_file(path)
        if not self._blobs.exists(digest):
            kept.append(digest)
            self._blobs.put_file(path)
        return Shard(
            digest=digest,
            index=self._put_bytes(msgspec.json.encode(frames), kept),
            rows=sum(rows for _, _, rows in frames),
            bytes=path.stat().st_size,
        )

    def _put_bytes(self, content: bytes, kept: list[str]) -> str:
        """Put bytes, noting in `kept` what wasn't there before."""
        digest = hashlib.sha256(content).hexdigest()
        if not self._blobs.exists(digest):
            kept.append(digest)
            self._blobs.put_bytes(content)
        return digest

    def _close_frame(self) -> None:
        if not self._lines:
            return
        self._lines.append(b"")
        raw = b"\n".join(self._lines)
        self._sizes.append((len(self._lines) - 1, len(raw)))
        self._lines = []
        self._frame_bytes = 0
        self._beside.add(self._compressor.compress, raw)

    def _write_frame(self, frame: bytes) -> None:
        rows, size = self._sizes.popleft()
        try:
            if self._file is None:
                self._file = self._path(len(self._frames)).open("wb")
                self._frames.append([])
            offset = self._file.tell()
            self._file.write(frame)
        except OSError as error:
            raise _full(error, self._folder.name) from error
        self._frames[-1].append((offset, len(frame), rows))
        self._shard_bytes += size
        if self._shard_bytes >= SHARD_BYTES:
            self._close_shard()

    def _close_shard(self) -> None:
        if self._file is None:
            return
        file, self._file = self._file, None
        self._shard_bytes = 0
        try:
            file.close()
        except OSError as error:
            raise _full(error, self._folder.name) from error

    def _path(self, number: int) -> Path:
        return Path(self._folder.name) / f"{number:06d}"


class VersionReader:
    """The rows of one version."""

    def __init__(self, blobs: BlobStore, manifest_digest: str) -> None:
        self._blobs = blobs
        with blobs.open(manifest_digest) as file:
            self.manifest = _MANIFEST.decode(file.read())
        self._ends = list(accumulate(shard.rows for shard in self.manifest.shards))
        self._indexes: dict[int, list[tuple[int, int, int]]] = {}

    def __len__(self) -> int:
        return self.manifest.rows

    def __iter__(self) -> Iterator[Row]:
        return map(decode_row, self.lines())

    def rows(self, offset: int, limit: int) -> list[Row]:
        """At most `limit` rows from row `offset`, counted from 0; only the frames that hold them are unpacked."""
        found: list[Row] = []
        if limit > 0:
            for line in self.lines(offset):
                found.append(decode_row(line))
                if len(found) == limit:
                    break
        return found

    def lines(self, offset: int = 0) -> Iterator[bytes]:
        """The canonical form of every row from row `offset`."""
        shard = bisect_right(self._ends, offset)
        skip = offset - (self._ends[shard - 1] if shard else 0)
        for number in range(shard, len(self.manifest.shards)):
            yield from self._shard_lines(number, skip)
            skip = 0

    def pick(self, numbers: Sequence[int]) -> Iterator[bytes]:
        """The canonical form of the rows with these numbers, in this order. Quick where the numbers rise."""
        frame: list[bytes] = []
        first = end = 0
        for number in numbers:
            if not first <= number < end:
                first, frame = self._frame_of(number)
                end = first + len(frame)
            yield frame[number - first]

    def _frame_of(self, number: int) -> tuple[int, list[bytes]]:
        """The first row's number, and all rows, of the frame that holds row `number`."""
        if not 0 <= number < len(self):
            raise IndexError(number)
        shard = bisect_right(self._ends, number)
        first = self._ends[shard - 1] if shard else 0
        for offset, size, rows in self._index(shard):
            if number < first + rows:
                with self._blobs.open(self.manifest.shards[shard].digest) as file:
                    file.seek(offset)
                    raw = zstandard.ZstdDecompressor().decompress(file.read(size))
                return first, raw.split(b"\n")[:rows]
            first += rows
        raise AssertionError("the index of a shard ends before its rows do")

    def _shard_lines(self, number: int, skip: int) -> Iterator[bytes]:
        unpack = zstandard.ZstdDecompressor()
        with self._blobs.open(self.manifest.shards[number].digest) as file:
            for offset, size, rows in self._index(number):
                if skip >= rows:
                    skip -= rows
                    continue
                file.seek(offset)
                lines = unpack.decompress(file.read(size)).split(b"\n")
                yield from lines[skip:rows]
                skip = 0

    def _index(self, number: int) -> list[tuple[int, int, int]]:
        if number not in self._indexes:
            with self._blobs.open(self.manifest.shards[number].index) as file:
                self._indexes[number] = _INDEX.decode(file.read())
        return self._indexes[number]


def _full(error: OSError, path: str) -> Exception:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return Problem("disk_full", path=path)
    return error
