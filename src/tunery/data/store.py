"""Accepted rows as immutable blobs: shards of lines, an index per shard, one manifest per version.

    manifest   JSON: format, row kind, counts, content hash, shards in order, list of images
    index      JSON: [[offset, bytes, rows], …], the frames of one shard: what must be read to get at a row
    shard      whole rows, one canonical JSON a line; a piece of the content, see content.py
    images     the digests of the images that rows show, 32 bytes each, in rising order; each image is a blob

The same rows always give the same blobs, so equal versions share their bytes. The digest of the manifest
names the version. This module doesn't know of datasets, projects or files.
"""

import contextlib
import hashlib
import os
import sys
import tempfile
from array import array
from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from itertools import accumulate
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, NamedTuple

import msgspec

from tunery.blobs.point import BlobStore
from tunery.core.errors import Problem
from tunery.core.files import is_disk_full
from tunery.data.content import Content, Lines, Part
from tunery.data.native import full_frames
from tunery.data.pipeline import Beside
from tunery.data.rows import Row, decode_row, images_of
from tunery.schemas.check import RowKind

FRAME_BYTES = 16 << 10
"""A frame is closed by the row that reaches this."""
_BEGIN_BYTES = 4 << 20
"""So much is written before the disk is told to begin with it, so that little is left to wait for in the end."""
_AT_ONCE = 4
"""Blobs that are put at the same time."""
_MOST_OPEN = 64
"""Shards that are held open while rows are picked."""


class Shard(msgspec.Struct, frozen=True):
    """One entry of a manifest."""

    digest: str
    index: str
    rows: int
    bytes: int


class Manifest(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a version consists of."""

    v: int
    format: str
    row_kind: RowKind
    rows: int
    characters: int
    content_hash: str
    shards: list[Shard]
    images: str | None = None
    """Blob of their list; None where rows show no images."""


_SHOWS_IMAGE = b'"type":"image","digest":"'
"""Text can't hold this: there its quotation marks are escaped."""
_MANIFEST = msgspec.json.Decoder(Manifest)
_INDEX = msgspec.json.Decoder(list[tuple[int, int, int]])


class VersionWriter:
    """Append rows, then `finish`. Leaving the `with` block unfinished keeps nothing."""

    def __init__(self, blobs: BlobStore, *, scratch: Path | None = None) -> None:
        self._blobs = blobs
        self._folder = tempfile.TemporaryDirectory(prefix="tunery-rows-", dir=scratch)
        self._writing = Beside()
        self._syncing = Beside()
        """Gets its jobs from the thread that writes, which doesn't wait for the disk."""
        self._content = Content()
        self._file: BinaryIO | None = None
        self._files: list[BinaryIO] = []
        """All there were; whoever gives up closes those that wait to be."""
        self._size = self._begun = 0
        """Of the shard that is being written: its bytes, and those that the disk has been told of."""
        self._ends: list[int] = []
        self._rows_at_ends: list[int] = []
        """Where the shard's frames end, and how many of its rows stand before each end."""
        self._shard_rows = 0
        self._shards: list[tuple[Shard, bytes]] = []
        """Each with its index, which isn't stored yet."""
        self._rows = 0
        self._characters = 0
        self._images: set[str] = set()
        self._may_show_images = False

    def __enter__(self) -> "VersionWriter":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._writing.close()
        self._syncing.close()
        for file in self._files:
            # What can't be flushed is thrown away with the folder.
            with contextlib.suppress(OSError):
                file.close()
        self._folder.cleanup()

    def append(self, lines: Sequence[bytes], characters: int) -> None:
        """Add rows in canonical form, with so many characters together: all as parts, or none. Raises Problem
        `disk_full`."""
        self._rows += len(lines)
        self._characters += characters
        with _or_full(self._folder.name):
            if isinstance(lines, Part):
                self._write(lines)
                return
            # They may come from another version, whose images are stored.
            self._may_show_images = True
            for part in self._content.add(Lines.of(lines)):
                self._write(part)

    def add_image(self, digest: str, content: bytes) -> None:
        """An image that rows may show. Kept if a row does. Raises Problem `disk_full`."""
        self._may_show_images = True
        path = self._image_path(digest)
        if not path.exists():
            with _or_full(self._folder.name):
                path.write_bytes(content)

    def finish(self, content_hash: str, format: str, row_kind: RowKind) -> str:
        """Put everything into the blob store, the manifest last; returns the manifest's digest.

        Where that fails, the blobs that are there already stay for the garbage collection: another import may have
        found them meanwhile, and rely on them.
        """
        with _or_full(self._folder.name):
            for part in self._content.finish():
                self._write(part)
            self._writing.finish()
            self._syncing.finish()
        assert self._file is None, "parts must end with the one that closes the last piece"
        images = sorted(self._images)
        # Blobs that are put at the same time wait for the disk together.
        _at_once([partial(self._put_image, digest) for digest in images])
        _at_once(
            [partial(self._take_shard, number) for number in range(len(self._shards))]
            + [partial(self._put_index, index) for _, index in self._shards]
        )
        manifest = Manifest(
            v=1,
            format=format,
            row_kind=row_kind,
            rows=self._rows,
            characters=self._characters,
            content_hash=content_hash,
            shards=[shard for shard, _ in self._shards],
            images=self._blobs.put_bytes(b"".join(map(bytes.fromhex, images))) if images else None,
        )
        return self._blobs.put_bytes(msgspec.json.encode(manifest))

    def _put_image(self, digest: str) -> None:
        """One that rows show. Those of rows that come from another version are there already."""
        if not self._blobs.renew(digest):
            self._blobs.put_file(self._image_path(digest))

    def _take_shard(self, number: int) -> None:
        self._blobs.take_file(self._path(number), self._shards[number][0].digest)

    def _put_index(self, index: bytes) -> None:
        self._blobs.put_bytes(index)

    def _write(self, part: Part) -> None:
        if part:
            if self._file is None:
                self._file = self._path(len(self._shards)).open("wb")
                self._files.append(self._file)
            self._writing.add(len(part.text), _write, self._file, part.text)
            if self._may_show_images:
                self._note_images(part)
            self._note_frames(part)
            if self._size - self._begun >= _BEGIN_BYTES:
                size = self._size - self._begun
                self._writing.add(0, self._syncing.add, 0, _begin, self._file, self._begun, size)
                self._begun = self._size
        if part.piece is not None:
            self._close_shard(part.piece)

    def _note_images(self, part: Part) -> None:
        if _SHOWS_IMAGE in part.text:
            shown = (images_of(decode_row(line)) for line in part if _SHOWS_IMAGE in line)
            self._images.update(image.digest for images in shown for image in images)

    def _note_frames(self, part: Part) -> None:
        """Close the frames that are full with these rows."""
        begin = self._ends[-1] if self._ends else 0
        full = full_frames(part.ends, begin + FRAME_BYTES - self._size, FRAME_BYTES)
        self._ends += [self._size + part.ends[last] for last in full]
        self._rows_at_ends += [self._shard_rows + last + 1 for last in full]
        self._shard_rows += len(part)
        self._size += len(part.text)

    def _close_shard(self, digest: str) -> None:
        ends, rows = self._ends, self._rows_at_ends
        if not ends or ends[-1] < self._size:
            ends.append(self._size)
            rows.append(self._shard_rows)
        frames = [
            (begin, end - begin, after - before)
            for begin, end, before, after in zip([0, *ends], ends, [0, *rows], rows, strict=False)
        ]
        index = msgspec.json.encode(frames)
        named = hashlib.sha256(index).hexdigest()
        shard = Shard(digest=digest, index=named, rows=self._shard_rows, bytes=self._size)
        self._shards.append((shard, index))
        file, self._file = self._file, None
        self._size = self._begun = self._shard_rows = 0
        self._ends, self._rows_at_ends = [], []
        if file is not None:
            self._writing.add(0, self._syncing.add, 0, _close, file)

    def _path(self, number: int) -> Path:
        return Path(self._folder.name) / f"{number:06d}"

    def _image_path(self, digest: str) -> Path:
        return Path(self._folder.name) / f"image-{digest}"


class VersionReader:
    """The rows of one version."""

    def __init__(self, blobs: BlobStore, manifest_digest: str) -> None:
        self._blobs = blobs
        with blobs.open(manifest_digest) as file:
            self.manifest = _MANIFEST.decode(file.read())
        self._ends = list(accumulate(shard.rows for shard in self.manifest.shards))
        self._indexes: dict[int, _Index] = {}

    def __len__(self) -> int:
        return self.manifest.rows

    @property
    def characters(self) -> int:
        """Of all rows."""
        return self.manifest.characters

    def __iter__(self) -> Iterator[Row]:
        return map(decode_row, self.lines())

    def rows(self, offset: int, limit: int) -> list[Row]:
        """At most `limit` rows from row `offset`, counted from 0; only the frames that hold them are read."""
        found: list[Row] = []
        if limit > 0:
            for line in self.lines(offset):
                found.append(decode_row(line))
                if len(found) == limit:
                    break
        return found

    def images(self) -> list[str]:
        """Digests of the images that rows show, in rising order."""
        if self.manifest.images is None:
            return []
        with self._blobs.open(self.manifest.images) as file:
            listed = file.read()
        return [listed[at : at + 32].hex() for at in range(0, len(listed), 32)]

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
        with ExitStack() as held:
            files: dict[int, BinaryIO] = {}
            for number in numbers:
                if not first <= number < end:
                    if len(files) == _MOST_OPEN:
                        held.close()
                        files.clear()
                    first, frame = self._frame_of(number, files, held)
                    end = first + len(frame)
                yield frame[number - first]

    def _frame_of(self, number: int, files: dict[int, BinaryIO], held: ExitStack) -> tuple[int, list[bytes]]:
        """The first row's number, and all rows, of the frame that holds row `number`."""
        if not 0 <= number < len(self):
            raise IndexError(number)
        shard = bisect_right(self._ends, number)
        before = self._ends[shard - 1] if shard else 0
        index = self._index(shard)
        at = bisect_right(index.rows, number - before) - 1
        if shard not in files:
            files[shard] = held.enter_context(self._blobs.open(self.manifest.shards[shard].digest))
        return before + index.rows[at], index.read(files[shard], at)

    def _shard_lines(self, number: int, skip: int) -> Iterator[bytes]:
        index = self._index(number)
        first = bisect_right(index.rows, skip) - 1
        skip -= index.rows[first]
        with self._blobs.open(self.manifest.shards[number].digest) as file:
            for at in range(first, len(index.rows) - 1):
                yield from index.read(file, at)[skip:]
                skip = 0

    def _index(self, number: int) -> "_Index":
        if number not in self._indexes:
            with self._blobs.open(self.manifest.shards[number].index) as file:
                frames = _INDEX.decode(file.read())
            rows = array("Q", accumulate((rows for _, _, rows in frames), initial=0))
            places = array("Q", accumulate((size for _, size, _ in frames), initial=0))
            self._indexes[number] = _Index(rows, places)
        return self._indexes[number]


class _Index(NamedTuple):
    """The frames of a shard: the first row and the first byte of each, and of one behind the last."""

    rows: "array[int]"
    places: "array[int]"

    def read(self, shard: BinaryIO, at: int) -> list[bytes]:
        """The rows of a frame."""
        shard.seek(self.places[at])
        return shard.read(self.places[at + 1] - self.places[at]).split(b"\n")[:-1]


def _write(file: BinaryIO, text: bytes) -> None:
    file.write(text)


def _begin(file: BinaryIO, offset: int, size: int) -> None:
    """Have the system begin to write this to the disk, without waiting for it."""
    file.flush()
    # To ask for the memory of what isn't written yet is to have it written now.
    if sys.platform == "linux":
        os.posix_fadvise(file.fileno(), offset, size, os.POSIX_FADV_DONTNEED)


def _close(file: BinaryIO) -> None:
    with file:
        file.flush()
        os.fsync(file.fileno())


def _at_once(jobs: Sequence[Callable[[], None]]) -> None:
    """Do each of them, some at the same time."""
    threads = [Beside() for _ in range(min(_AT_ONCE, len(jobs)))]
    try:
        for number, job in enumerate(jobs):
            threads[number % len(threads)].add(0, job)
        for thread in threads:
            thread.finish()
    finally:
        for thread in threads:
            thread.close()


@contextmanager
def _or_full(path: str) -> Iterator[None]:
    """Raises Problem `disk_full` where the disk was."""
    try:
        yield
    except OSError as error:
        if is_disk_full(error):
            raise Problem("disk_full", path=path) from error
        raise
