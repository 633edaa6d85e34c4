"""Parquet -> records, row group by row group, some rows at a time. It doesn't know what the columns mean."""

from collections.abc import Iterator
from typing import Any, BinaryIO

import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from tunery.core.errors import Problem, Where
from tunery.data.block import Block, Record, ValueBlock
from tunery.data.record import check_value
from tunery.data.rows import RowError

BATCH_ROWS = 256
_BATCH_BYTES = 4 << 20
MAX_GROUP_BYTES = 2 << 30
MAX_GROUP_RATIO = 200
_GRACE_BYTES = 64 << 20


def read_parquet(file: BinaryIO, name: str) -> Iterator[Block]:
    """Every row of the file. A row has no line here: its number stands for it, and the offset is 0.

    Raises Problem `file_unreadable`, ArrowException for a damaged file.
    """
    table = pq.ParquetFile(file, buffer_size=1 << 20)
    _check(table.metadata, name)
    size = sum(table.metadata.row_group(number).total_byte_size for number in range(table.num_row_groups))
    rows = max(1, min(BATCH_ROWS, table.metadata.num_rows * _BATCH_BYTES // max(size, 1)))
    row = 1
    for batch in table.iter_batches(batch_size=rows, use_threads=False):
        if batch.num_rows:
            yield ValueBlock([_record(row + number, value) for number, value in enumerate(_values(batch))])
            row += batch.num_rows


def _check(found: pq.FileMetaData, name: str) -> None:
    for number in range(found.num_row_groups):
        group = found.row_group(number)
        columns = [group.column(column) for column in range(group.num_columns)]
        packed = sum(column.total_compressed_size for column in columns)
        size = max(group.total_byte_size, sum(column.total_uncompressed_size for column in columns))
        if size > MAX_GROUP_BYTES or (size > _GRACE_BYTES and size > MAX_GROUP_RATIO * max(packed, 1)):
            detail = f"its row group {number + 1} unpacks to {size:,} bytes; write smaller row groups"
            raise Problem("file_unreadable", where=Where(file=name), path=name, detail=detail)


def _values(batch: pa.RecordBatch) -> list[Any]:
    """Rows as dicts; where a text isn't UTF-8, that row is the error."""
    try:
        return batch.to_pylist()
    except UnicodeDecodeError:
        return [_value(batch.slice(number, 1)) for number in range(batch.num_rows)]


def _value(batch: pa.RecordBatch) -> Any:
    try:
        return batch.to_pylist()[0]
    except UnicodeDecodeError as bad:
        return RowError("invalid_utf8", "Encode the text of this row as UTF-8.", found=repr(bad.object[:80]))


def _record(row: int, value: Any) -> Record:
    if isinstance(value, RowError):
        return Record(row, row, 0, str(value.found).encode(), None, value)
    # A column that a row doesn't use is null there: the row has no such field.
    fields = {key: item for key, item in value.items() if item is not None}
    raw = orjson.dumps(fields, default=_shown, option=orjson.OPT_NON_STR_KEYS)
    return Record(row, row, 0, raw, fields, check_value(fields, raw))


def _shown(value: object) -> str:
    return f"<{len(value)} bytes>" if isinstance(value, bytes) else str(value)
