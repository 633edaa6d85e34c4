"""What is known of every row of a version beside its words: a column each, in a file that is mapped, not read.

Made by the statistics, used to search. Row `n` of the file speaks of row `n` of the version.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pyarrow as pa
import pyarrow.compute as pc

from tunery.data.scatter import Numbers

EMPTY, SHORT, REFUSED = 1, 2, 4
"""Marks of a row: a turn without words; a short last answer; the chat template refuses it."""
_BATCH = 1 << 14
_MEASURED = pa.schema(
    [
        ("characters", pa.int64()),
        ("tokens", pa.int64()),
        ("language", pa.string()),
        ("marks", pa.int8()),
    ]
)
_SCHEMA = _MEASURED.append(pa.field("repeats", pa.int64()))


@dataclass(frozen=True)
class Fact:
    """What is known of one row; None = not measured."""

    characters: int
    tokens: int | None
    language: str | None
    marks: int
    repeats: int | None
    """Number of the earlier row that it repeats, from 0."""


class FactsWriter:
    """`add` row by row, then `finish`. A context manager: what lies beside the file is gone afterwards."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._aside = path.with_name(f"{path.name}.measured")
        self._sink = pa.OSFile(str(self._aside), "wb")
        self._writer = pa.ipc.new_stream(self._sink, _MEASURED)
        self._held: list[tuple[int, int | None, str | None, int]] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._sink.close()
        self._aside.unlink(missing_ok=True)

    def add(self, characters: int, tokens: int | None, language: str | None, marks: int) -> None:
        self._held.append((characters, tokens, language, marks))
        if len(self._held) >= _BATCH:
            self._flush()

    def finish(self, repeats: Numbers) -> None:
        """Write the file. `repeats` holds for each row 1 + the number of the row it repeats, or 0."""
        self._flush()
        self._writer.close()
        self._sink.close()
        first = 0
        with (
            pa.memory_map(str(self._aside)) as source,
            pa.OSFile(str(self._path), "wb") as sink,
            pa.ipc.new_file(sink, _SCHEMA) as writer,
        ):
            for batch in pa.ipc.open_stream(source):
                last = first + batch.num_rows
                found = [repeats[row] - 1 if repeats[row] else None for row in range(first, last)]
                columns = [*batch.columns, pa.array(found, pa.int64())]
                writer.write_batch(pa.record_batch(columns, schema=_SCHEMA))
                first = last

    def _flush(self) -> None:
        if self._held:
            columns = zip(*self._held, strict=True)
            arrays = [pa.array(column, field.type) for column, field in zip(columns, _MEASURED, strict=True)]
            self._writer.write_batch(pa.record_batch(arrays, schema=_MEASURED))
            self._held = []


class Facts:
    """A facts file, mapped."""

    def __init__(self, path: Path) -> None:
        self._map = pa.memory_map(str(path), "r")
        self._reader = pa.ipc.open_file(self._map)

    def of(self, rows: Sequence[int]) -> list[Fact]:
        """What is known of the rows with these numbers."""
        found: list[Fact] = []
        for row in rows:
            values = self._reader.get_batch(row // _BATCH).slice(row % _BATCH, 1).to_pylist()[0]
            found.append(Fact(**values))
        return found

    def where(
        self,
        *,
        characters: tuple[int | None, int | None] = (None, None),
        tokens: tuple[int | None, int | None] = (None, None),
        language: str | None = None,
        marks: int = 0,
        repeats: bool = False,
    ) -> Iterator[int]:
        """Numbers of the rows that fit all that is asked, rising. Bounds are included."""
        for index in range(self._reader.num_record_batches):
            batch = self._reader.get_batch(index)
            tests = [
                *_within(batch.column("characters"), *characters),
                *_within(batch.column("tokens"), *tokens),
            ]
            if language is not None:
                tests.append(_call("equal", batch.column("language"), language))
            if marks:
                marked = _call("bit_wise_and", batch.column("marks"), pa.scalar(marks, pa.int8()))
                tests.append(_call("greater", marked, pa.scalar(0, pa.int8())))
            if repeats:
                tests.append(_call("is_valid", batch.column("repeats")))
            fits = pa.array([True] * batch.num_rows)
            for test in tests:
                fits = _call("and", fits, test.fill_null(False))
            for row in _call("indices_nonzero", fits).to_pylist():
                yield index * _BATCH + row


def _within(column: pa.Array, low: int | None, high: int | None) -> Iterator[pa.Array]:
    if low is not None:
        yield _call("greater_equal", column, low)
    if high is not None:
        yield _call("less_equal", column, high)


def _call(name: str, *values: Any) -> Any:
    """A function of Arrow's by name; its module makes them when it is read, so type checkers don't see them."""
    return pc.call_function(name, list(values))
