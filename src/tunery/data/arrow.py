"""Rows as an Arrow file: what the engine is handed. It maps the file and reads the rows it needs.

Columns: `row` (canonical JSON, binary) and `characters` (its content's length, for mixing by characters).
"""

import errno
import mmap
import os
import threading
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate
from pathlib import Path
from typing import overload

import pyarrow as pa

from tunery.core.errors import Problem
from tunery.core.files import fsync_folder
from tunery.data.rows import Row, characters, decode_row
from tunery.data.store import VersionReader

SCHEMA = pa.schema([("row", pa.binary()), ("characters", pa.int64())])
BATCH_ROWS = 1024
_BATCH_BYTES = 16 << 20
_GIVE_BACK_BYTES = 4 << 20


def write_arrow(path: Path, lines: Iterable[bytes]) -> int:
    """Write canonical rows to `path`, whole or not at all; returns how many. Raises Problem `disk_full`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".{path.name}.{os.getpid()}.{threading.get_ident()}")
    count = 0
    try:
        with aside.open("wb") as file:
            with pa.ipc.new_file(file, SCHEMA) as writer:
                for batch in _batches(lines):
                    count += len(batch)
                    sizes = [characters(decode_row(line)) for line in batch]
                    writer.write_batch(
                        pa.record_batch(
                            [pa.array(batch, pa.binary()), pa.array(sizes, pa.int64())], schema=SCHEMA
                        )
                    )
            file.flush()
            os.fsync(file.fileno())
        os.replace(aside, path)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise Problem("disk_full", path=str(path)) from error
        raise
    finally:
        aside.unlink(missing_ok=True)
    fsync_folder(path.parent)
    return count


def to_arrow(version: VersionReader, path: Path, rows: Sequence[int] | None = None) -> int:
    """Write a version's rows, or only those numbered in `rows` (in that order); returns how many."""
    if rows is None:
        return write_arrow(path, version.lines())
    return write_arrow(path, version.pick(rows))


def read_arrow(path: Path) -> "ArrowRows":
    """The rows of a file that `write_arrow` wrote. Raises Problem `file_missing` or `file_unreadable`."""
    return ArrowRows(path)


class ArrowRows(Sequence[Row]):
    """Rows by number, read from the mapped file when asked for.

    Pages that were read are given back now and then: they would count as this process's memory until all are in it.
    """

    def __init__(self, path: Path) -> None:
        try:
            with path.open("rb") as file:
                self._map = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
            reader = pa.ipc.open_file(pa.BufferReader(pa.py_buffer(self._map)))
        except FileNotFoundError as error:
            raise Problem("file_missing", path=str(path), base=str(Path.cwd())) from error
        except (OSError, ValueError, pa.ArrowInvalid) as error:
            raise Problem("file_unreadable", path=str(path), detail=str(error)) from error
        self._read = 0
        self._batches = [reader.get_batch(number) for number in range(reader.num_record_batches)]
        self._ends = list(accumulate(batch.num_rows for batch in self._batches))

    def __len__(self) -> int:
        return self._ends[-1] if self._ends else 0

    @overload
    def __getitem__(self, index: int) -> Row: ...
    @overload
    def __getitem__(self, index: slice) -> list[Row]: ...
    def __getitem__(self, index: int | slice) -> Row | list[Row]:
        if isinstance(index, slice):
            return [self[number] for number in range(*index.indices(len(self)))]
        batch, number = self._place(index)
        line: bytes = batch.column(0)[number].as_py()
        self._read += len(line)
        if self._read > _GIVE_BACK_BYTES:
            self._map.madvise(mmap.MADV_DONTNEED)
            self._read = 0
        return decode_row(line)

    def characters(self, index: int) -> int:
        """Length of one row's content."""
        batch, number = self._place(index)
        return batch.column(1)[number].as_py()

    def _place(self, index: int) -> tuple[pa.RecordBatch, int]:
        if index < 0:
            index += len(self)
        if not 0 <= index < len(self):
            raise IndexError(index)
        at = bisect_right(self._ends, index)
        return self._batches[at], index - (self._ends[at - 1] if at else 0)


def _batches(lines: Iterable[bytes]) -> Iterator[list[bytes]]:
    batch: list[bytes] = []
    size = 0
    for line in lines:
        batch.append(line)
        size += len(line)
        if len(batch) >= BATCH_ROWS or size >= _BATCH_BYTES:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch
