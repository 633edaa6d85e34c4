"""One pass over a file: every row read, validated, counted, hashed. Nothing is dropped silently.

What is done with good and bad rows is the caller's; this module keeps none.
"""

import hashlib
import time
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import chain
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple

import orjson

from tunery.core.errors import Problem, Where
from tunery.data.block import Block, GuessedBlock, Record, ValueBlock
from tunery.data.detect import SAMPLE, detect_format
from tunery.data.formats.point import FORMATS, Format, quick_of
from tunery.data.pipeline import Beside
from tunery.data.quick import QuickReader
from tunery.data.repeats import Repeats
from tunery.data.rows import RowError, characters, encode_row
from tunery.data.unpack import read_file
from tunery.schemas.dataset import CheckReport, RowProblem

SHOWN = 100
"""So many problems stand in the report."""
_EXCERPT = 200
_SAMPLE_BYTES = 8 << 20

OnRows = Callable[[list[bytes], int], None]
OnBad = Callable[[bytes], None]
Progress = Callable[[int, int], None]


def check_file(
    path: Path,
    format: str | None = None,
    *,
    name: str | None = None,
    salvage: bool = False,
    on_rows: OnRows | None = None,
    on_bad: OnBad | None = None,
    progress: Progress | None = None,
) -> CheckReport:
    """Read every row of a file and report. `format` None = recognise it; `name` = what the file is called.

    `on_rows(canonical rows, their characters together)` gets the accepted rows, some at a time; `on_bad(line)` the
    quarantine line of each rejected one (JSON: the problem, and the row's text as `text`); `progress(bytes, rows)`
    how far it is. With `salvage`, an array that is cut off gives the rows before the cut, which is one bad row.
    Raises Problem `file_missing`, `file_unreadable`, `json_broken`, `format_unknown`, `unknown_extension`, `no_rows`.
    """
    name = name or path.name
    started = time.perf_counter()
    seen = rows = 0

    def count(now: int) -> None:
        nonlocal seen
        seen = now
        if progress:
            progress(now, rows)

    blocks = read_file(path, name, salvage=salvage, progress=count)
    found = _choose(blocks, format, name)
    with _Check(found, on_rows, on_bad) as check:
        for file, block in found.blocks:
            check.take(file, block)
            rows = check.rows_read
        report = check.finish()
    if rows == 0:
        raise Problem("no_rows", where=Where(file=name), path=name)
    return report.model_copy(update={"bytes": seen, "seconds": round(time.perf_counter() - started, 6)})


class _Found(NamedTuple):
    """Format and reason, some records, and all blocks, with their files' names, none of them used up."""

    format: str
    reason: str
    sample: list[object]
    blocks: Iterator[tuple[str, Block]]


def _choose(blocks: Iterator[tuple[str, Block]], format: str | None, name: str) -> _Found:
    if format is not None:
        FORMATS.load(format)
    records, begun = _sample(blocks)
    readable = [record.value for record in records if record.error is None]
    blocks = chain(begun, blocks)
    if format is not None:
        return _Found(format, "named by you", readable, blocks)
    if name.lower().endswith(".txt"):
        return _Found("corpus", "it is a plain text file", readable, blocks)
    if not records:
        raise Problem("no_rows", where=Where(file=name), path=name)
    if not readable:
        first = records[0]
        assert first.error is not None
        detail = (
            f"no record could be read; the first, on line {first.line}, breaks the rule {first.error.rule}"
        )
        where = Where(file=begun[0][0], line=first.line)
        raise Problem(
            "format_unknown", where=where, path=name, detail=detail, known=", ".join(FORMATS.names())
        )
    return _Found(*detect_format(readable, name), readable, blocks)


def _sample(blocks: Iterator[tuple[str, Block]]) -> tuple[list[Record], list[tuple[str, Block]]]:
    """The first records, and the blocks that were begun for them."""
    records: list[Record] = []
    begun: list[tuple[str, Block]] = []
    size = 0
    for file, block in blocks:
        begun.append((file, block))
        for number in range(min(len(block), SAMPLE - len(records))):
            record = block.record(number)
            if record.error is not None and isinstance(block, GuessedBlock):
                block.stop(number)
                break
            records.append(record)
            size += len(record.raw)
            if size > _SAMPLE_BYTES:
                break
        if len(records) == SAMPLE or size > _SAMPLE_BYTES:
            break
    return records, begun


class _Check:
    """What is counted on the way."""

    def __init__(self, found: _Found, on_rows: OnRows | None, on_bad: OnBad | None) -> None:
        self._found = found
        self._format: Format = FORMATS.load(found.format)
        quick = quick_of(self._format)
        self._quick = QuickReader(quick, found.sample) if quick else None
        self._on_rows = on_rows
        self._on_bad = on_bad
        self.rows_read = 0
        self.rows_accepted = 0
        self.rules: Counter[str] = Counter()
        self.problems: list[RowProblem] = []
        self._hash = hashlib.sha256()
        self._hashing: Beside[None] = Beside(lambda _: None)
        self._repeats = Repeats()

    def __enter__(self) -> "_Check":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._hashing.close()
        self._repeats.close()

    def take(self, file: str, block: Block) -> None:
        """Judge every row of a block."""
        if self._quick is None or isinstance(block, ValueBlock):
            lines: list[bytes | None] = [None] * len(block)
            sizes = [0] * len(block)
        else:
            lines, sizes = self._quick.read(block.raws)
            for number in block.cut:
                lines[number], sizes[number] = None, 0
        if None in lines:
            self._take_carefully(file, block, lines, sizes)
        self.rows_read += len(block)
        self._accept([line for line in lines if line is not None], sum(sizes))

    def _take_carefully(self, file: str, block: Block, lines: list[bytes | None], sizes: list[int]) -> None:
        """Read the rows that have no canonical form yet; those that get none are rejected."""
        for number in range(len(block)):
            if lines[number] is not None:
                continue
            record = block.record(number)
            error = record.error
            if error is not None and isinstance(block, GuessedBlock):
                block.stop(number)
                del lines[number:], sizes[number:]
                return
            if error is None:
                try:
                    row = self._format.read(record.value)
                except RowError as refusal:
                    error = refusal
                else:
                    lines[number] = encode_row(row)
                    sizes[number] = characters(row)
            if error is not None:
                self._reject(file, record, error)

    def _accept(self, lines: list[bytes], size: int) -> None:
        if not lines:
            return
        self.rows_accepted += len(lines)
        self._repeats.add(lines)
        self._hashing.add(self._hash.update, b"\n".join([*lines, b""]))
        if self._on_rows:
            self._on_rows(lines, size)

    def finish(self) -> CheckReport:
        """The report, without what it doesn't know: the file's size and the time."""
        self._hashing.finish()
        return CheckReport(
            format=self._found.format,
            reason=self._found.reason,
            rows_read=self.rows_read,
            rows_accepted=self.rows_accepted,
            rows_rejected=self.rows_read - self.rows_accepted,
            problems_by_rule=dict(self.rules.most_common()),
            problems=self.problems,
            duplicates=self._repeats.count(),
            bytes=0,
            seconds=0,
            content_hash=self._hash.hexdigest(),
        )

    def _reject(self, file: str, record: Record, error: RowError) -> None:
        self.rules[error.rule] += 1
        if len(self.problems) >= SHOWN and self._on_bad is None:
            return
        problem = RowProblem(
            file=file,
            line=record.line,
            row=record.row,
            offset=record.offset,
            field=error.field,
            rule=error.rule,
            excerpt=_excerpt(record, error),
            fix=error.fix,
        )
        if len(self.problems) < SHOWN:
            self.problems.append(problem)
        if self._on_bad:
            text = record.raw.decode("utf-8", errors="backslashreplace")
            self._on_bad(orjson.dumps({**problem.model_dump(), "text": text}) + b"\n")


def _excerpt(record: Record, error: RowError) -> str:
    """The offending text, cut."""
    found: Any = error.found
    if found is None:
        return record.raw[: 4 * _EXCERPT].decode("utf-8", errors="replace")[:_EXCERPT]
    text = found if isinstance(found, str) else orjson.dumps(found, default=str).decode()
    return text if len(text) <= _EXCERPT else text[: _EXCERPT - 1] + "…"
