"""One pass over a file: every row read, validated, counted, hashed. Nothing is dropped silently.

What is done with good and bad rows is the caller's; this module keeps none.
"""

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from itertools import chain
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple

import orjson

from tunery.core.errors import Problem, Where
from tunery.data.attach import Images, OnImage
from tunery.data.block import Block, Record, ValueBlock
from tunery.data.content import Content, Lines, Part
from tunery.data.detect import SAMPLE, detect_format
from tunery.data.draw import SEED, Draw
from tunery.data.formats.point import FORMATS, Format, most_rows, quick_of
from tunery.data.magic import stem
from tunery.data.names import SHOWN as COLUMNS_SHOWN
from tunery.data.names import FileNames, columns_of
from tunery.data.native import hash_rows
from tunery.data.pipeline import Beside
from tunery.data.quick import Taken, quick_reader
from tunery.data.record import parse
from tunery.data.repeats import Repeats
from tunery.data.rows import Row, RowError, characters, decode_row, encode_row, images_of
from tunery.data.unpack import read_file
from tunery.schemas.check import CheckReport, Drawn, RowProblem

SHOWN = 100
"""So many problems stand in the report."""
_EXCERPT = 200
_MENDED_BYTES = 1 << 16
_SAMPLE_BYTES = 8 << 20

OnRows = Callable[[Sequence[bytes], int], None]
OnBad = Callable[[bytes], None]
Progress = Callable[[int, int], None]
Fixes = Mapping[tuple[str, int], bytes]
"""By file and row: what is read where the file's own row can't be used."""


def check_file(
    path: Path | Iterable[tuple[str, Path]],
    format: str | None = None,
    *,
    name: str | None = None,
    salvage: bool = False,
    names: FileNames | None = None,
    fixes: Fixes | None = None,
    on_rows: OnRows | None = None,
    on_bad: OnBad | None = None,
    on_image: OnImage | None = None,
    progress: Progress | None = None,
) -> CheckReport:
    """Read every row of a file and report. `format` None = recognise it; `name` = what the file is called.

    Instead of one file, several with a name for each: the next is asked for when the one before it is read.

    `on_rows(canonical rows, their characters together)` gets the accepted rows, some at a time, in a thread beside
    this one (a VersionWriter's `append` stores them without hashing them again); `on_bad(line)` the quarantine line
    of each rejected one (JSON: the problem, and the row's text as `text`); `progress(bytes, rows)` how far it is.
    With `salvage`, an array that is cut off gives the rows before the cut, which is one bad row.
    `on_image(digest, bytes)` gets every picture that rows name, sometimes more than once, and those of rows that are
    rejected in the end as well. `names`: which of the file's columns is read as what. `fixes`: fixed rows.
    Raises Problem `file_missing`, `file_unreadable`, `json_broken`, `format_unknown`, `unknown_extension`,
    `column_unknown`, `no_rows`.
    """
    files = [(name or path.name, path)] if isinstance(path, Path) else path
    name = name or (path.name if isinstance(path, Path) else "the files")
    started = time.perf_counter()
    seen = rows = 0

    def count(now: int) -> None:
        nonlocal seen
        seen = now
        if progress:
            progress(now, rows)

    names = names or None
    with Images(on_image) as images:
        found = _choose(_blocks_of(files, images, salvage, count), format, name, names)
        with _Check(found, images, names, fixes or {}, on_rows, on_bad) as check:
            for file, block in found.blocks:
                check.take(file, block)
                rows = check.rows_read
            report = check.finish()
    if rows == 0:
        raise Problem("no_rows", where=Where(file=name), path=name)
    return replace(report, bytes=seen, seconds=round(time.perf_counter() - started, 6))


def _blocks_of(
    files: Iterable[tuple[str, Path]], images: Images, salvage: bool, count: Callable[[int], None]
) -> Iterator[tuple[str, Block]]:
    """The blocks of one file after the other; `count` is told the bytes of all."""
    before = 0
    for name, path in files:
        yield from read_file(
            path, name, images=images, salvage=salvage, progress=lambda now, past=before: count(past + now)
        )
        before += path.stat().st_size


class _Found(NamedTuple):
    """Format and reason, the names of the columns, and all blocks, with their files' names, none of them used up."""

    format: str
    reason: str
    fields: list[str]
    blocks: Iterator[tuple[str, Block]]


def _choose(
    blocks: Iterator[tuple[str, Block]], format: str | None, name: str, names: FileNames | None
) -> _Found:
    if format is not None:
        FORMATS.load(format)
    records, begun = _sample(blocks)
    readable = [record.value for record in records if record.error is None]
    blocks = chain(_let_go(begun), blocks)
    fields = columns_of(readable)[:COLUMNS_SHOWN]
    if names is not None:
        names.check(readable, name)
    if format is not None:
        return _Found(format, "set by you", fields, blocks)
    if name.lower().endswith(".txt"):
        return _Found("corpus", "it is a plain text file", fields, blocks)
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
    renamed = readable if names is None else [names.rename(value) for value in readable]
    return _Found(*detect_format(renamed, name), fields, blocks)


def _sample(blocks: Iterator[tuple[str, Block]]) -> tuple[list[Record], list[tuple[str, Block]]]:
    """The first records, and the blocks that were begun for them."""
    records: list[Record] = []
    begun: list[tuple[str, Block]] = []
    size = 0
    for file, block in blocks:
        begun.append((file, block))
        for number in range(min(len(block), SAMPLE - len(records))):
            record = block.record(number)
            records.append(record)
            size += len(record.raw)
            if size > _SAMPLE_BYTES:
                break
        if len(records) == SAMPLE or size > _SAMPLE_BYTES:
            break
    return records, begun


def _let_go(begun: list[tuple[str, Block]]) -> Iterator[tuple[str, Block]]:
    """Each of them once; a block may hold a row of many megabytes."""
    while begun:
        yield begun.pop(0)


class _Check:
    """What is counted on the way."""

    def __init__(
        self,
        found: _Found,
        images: Images,
        names: FileNames | None,
        fixes: Fixes,
        on_rows: OnRows | None,
        on_bad: OnBad | None,
    ) -> None:
        self._found = found
        self._format: Format = FORMATS.load(found.format)
        self._images = images
        self._names = names
        self._fixes = fixes
        most = most_rows(self._format)
        self._draw = Draw(most) if most else None
        # The short way knows the format's own names only.
        self._quick = quick_reader(quick_of(self._format)) if names is None else None
        self._on_rows = on_rows
        self._on_bad = on_bad
        self.rows_read = 0
        self.rows_accepted = 0
        self.text_rows = 0
        self.text_characters = 0
        self.images = 0
        self.fixed = 0
        self.rules: Counter[str] = Counter()
        self.problems: list[RowProblem] = []
        self._content = Content()
        self._beside = Beside()
        self._repeats = Repeats()

    def __enter__(self) -> "_Check":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._beside.close()
        self._repeats.close()

    def take(self, file: str, block: Block) -> None:
        """Judge every row of a block."""
        self.rows_read += len(block)
        if self._quick is None or isinstance(block, ValueBlock):
            self._take_carefully(file, block, [None] * len(block), 0)
            return
        taken = self._quick.read(block)
        if taken.left:
            self._take_carefully(file, block, _one_by_one(taken), taken.characters)
        else:
            self._accept(file, Lines(taken.text, taken.ends), taken.characters, taken.hashes)

    def _take_carefully(self, file: str, block: Block, lines: list[bytes | None], size: int) -> None:
        """Read the rows that have no canonical form yet; those that get none are rejected."""
        for number in range(len(block)):
            if lines[number] is not None:
                continue
            record = block.record(number)
            row = self._row(file, record)
            if isinstance(row, RowError) and (text := self._fixes.get((file, record.row))) is not None:
                record = Record(record.row, record.line, record.offset, text, *parse(text))
                row = self._row(file, record)
                self.fixed += not isinstance(row, RowError)
            if isinstance(row, RowError):
                self._reject(file, record, row)
            else:
                lines[number] = encode_row(row)
                size += characters(row)
                self.images += len(images_of(row))
        self._accept(file, Lines.of([line for line in lines if line is not None]), size)

    def _row(self, file: str, record: Record) -> Row | RowError:
        if record.error is not None:
            return record.error
        try:
            value = record.value if self._names is None else self._names.rename(record.value)
            return self._images.attach(self._format.read(value), file)
        except RowError as refusal:
            return refusal if self._names is None else self._names.explain(refusal)

    def _accept(self, file: str, lines: Lines, size: int, hashes: bytes | None = None) -> None:
        if not lines:
            return
        self.rows_accepted += len(lines)
        if stem(file).lower().endswith(".txt"):
            self.text_rows += len(lines)
            self.text_characters += size
        self._beside.add(len(lines.text), self._keep, lines, size, hashes)

    def _keep(self, lines: Lines, size: int, hashes: bytes | None) -> None:
        """In the thread beside the one that reads."""
        self._repeats.add(hash_rows(lines) if hashes is None else hashes)
        if self._draw is not None:
            self._draw.add(lines)
        else:
            self._give(self._content.add(lines), size)

    def _give(self, parts: Iterable[Part], size: int) -> None:
        for part in parts:
            if self._on_rows:
                self._on_rows(part, size)
            size = 0

    def finish(self) -> CheckReport:
        """The report, without what it doesn't know: the file's size and the time."""
        self._beside.finish()
        drawn = None
        if self._draw is not None and (kept := self._draw.rows()):
            size = sum(characters(decode_row(line)) for line in kept)
            self._give(self._content.add(Lines.of(kept)), size)
            drawn = Drawn(rows=len(kept), seed=SEED) if len(kept) < self._draw.seen else None
        self._give(self._content.finish(), 0)
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
            fixed=self.fixed,
            fields=self._found.fields,
            content_hash=self._content.hash,
            images=self.images,
            drawn=drawn,
            text_rows=self.text_rows,
            text_characters=self.text_characters,
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
            line = {**asdict(problem), "text": text, **_as_json(record)}
            self._on_bad(orjson.dumps(line, default=str) + b"\n")


def _one_by_one(taken: Taken) -> list[bytes | None]:
    """The canonical form of each row, None for those that are left."""
    lines: list[bytes | None] = []
    start = 0
    for end in taken.ends:
        lines.append(taken.text[start : end - 1] if end > start else None)
        start = end
    return lines


def _as_json(record: Record) -> dict[str, str]:
    """What a row of another kind of file, such as a table, looks like as JSON, so that it can be fixed as that."""
    if not isinstance(record.value, dict) or record.raw[:1] == b"{" or len(record.raw) > _MENDED_BYTES:
        return {}
    return {"as_json": orjson.dumps(record.value, default=str).decode()}


def _excerpt(record: Record, error: RowError) -> str:
    """The offending text, shortened."""
    found: Any = error.found
    if found is None:
        return record.raw[: 4 * _EXCERPT].decode("utf-8", errors="replace")[:_EXCERPT]
    text = found if isinstance(found, str) else orjson.dumps(found, default=str).decode()
    return text if len(text) <= _EXCERPT else text[: _EXCERPT - 1] + "…"
