"""One pass over a file: every row read, validated, counted, hashed. Nothing is dropped silently.

What is done with good and bad rows is the caller's; this module keeps none.
"""

import hashlib
import time
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import chain, islice
from pathlib import Path
from typing import Any

import orjson

from tunery.core.errors import Problem, Where
from tunery.data.detect import SAMPLE, detect_format
from tunery.data.formats.point import FORMATS
from tunery.data.reader import Record, read_file
from tunery.data.rows import Row, RowError, encode_row
from tunery.schemas.dataset import CheckReport, RowProblem

SHOWN = 100
"""So many problems stand in the report."""
_EXCERPT = 200

OnRow = Callable[[Row, bytes], None]
OnBad = Callable[[bytes], None]
Progress = Callable[[int, int], None]


def check_file(
    path: Path,
    format: str | None = None,
    *,
    name: str | None = None,
    on_row: OnRow | None = None,
    on_bad: OnBad | None = None,
    progress: Progress | None = None,
) -> CheckReport:
    """Read every row of a file and report. `format` None = recognise it; `name` = what the file is called.

    `on_row(row, canonical bytes)` gets each accepted row, `on_bad(line)` the quarantine line of each rejected
    one (JSON: the problem, and the row's text as `text`), `progress(bytes, rows)` how far it is.
    Raises Problem `file_missing`, `file_unreadable`, `json_broken`, `format_unknown`, `unknown_extension`, `no_rows`.
    """
    name = name or path.name
    started = time.perf_counter()
    check = _Check(name, on_row, on_bad)
    seen = 0

    def count(now: int) -> None:
        nonlocal seen
        seen = now
        if progress:
            progress(now, check.rows_read)

    records = read_file(path, name, progress=count)
    chosen, reason, records = _choose(records, format, name)
    check.run(records, FORMATS.load(chosen).read)
    if check.rows_read == 0:
        raise Problem("no_rows", where=Where(file=name), path=name)
    return CheckReport(
        format=chosen,
        reason=reason,
        rows_read=check.rows_read,
        rows_accepted=check.rows_accepted,
        rows_rejected=check.rows_read - check.rows_accepted,
        problems_by_rule=dict(check.rules.most_common()),
        problems=check.problems,
        duplicates=check.duplicates,
        bytes=seen,
        seconds=round(time.perf_counter() - started, 6),
        content_hash=check.hash.hexdigest(),
    )


def _choose(records: Iterator[Record], format: str | None, name: str) -> tuple[str, str, Iterator[Record]]:
    """Format and reason, and the records, none of them used up."""
    if format is not None:
        FORMATS.load(format)
        return format, "named by you", records
    if name.lower().endswith(".txt"):
        return "corpus", "it is a plain text file", records
    sample = list(islice(records, SAMPLE))
    if not sample:
        raise Problem("no_rows", where=Where(file=name), path=name)
    readable = [record.value for record in sample if record.error is None]
    if not readable and sample[0].error is not None:
        first = sample[0]
        detail = f"no record could be read; the first, on line {first.line}, breaks the rule {sample[0].error.rule}"
        known = ", ".join(FORMATS.names())
        raise Problem(
            "format_unknown", where=Where(file=name, line=first.line), path=name, detail=detail, known=known
        )
    chosen, reason = detect_format(readable, name)
    return chosen, reason, chain(sample, records)


class _Check:
    """What is counted on the way."""

    def __init__(self, name: str, on_row: OnRow | None, on_bad: OnBad | None) -> None:
        self.name = name
        self.on_row = on_row
        self.on_bad = on_bad
        self.rows_read = 0
        self.rows_accepted = 0
        self.duplicates = 0
        self.rules: Counter[str] = Counter()
        self.problems: list[RowProblem] = []
        self.hash = hashlib.sha256()

    def run(self, records: Iterator[Record], read: Callable[[object], Row]) -> None:
        seen: set[bytes] = set()
        digest_of = hashlib.sha256
        for record in records:
            self.rows_read += 1
            if record.error is not None:
                self._reject(record, record.error)
                continue
            try:
                row = read(record.value)
            except RowError as error:
                self._reject(record, error)
                continue
            line = encode_row(row)
            # A content hash over the rows' hashes needs each row's bytes once, for both this and the duplicates.
            digest = digest_of(line).digest()
            self.hash.update(digest)
            if digest in seen:
                self.duplicates += 1
            else:
                seen.add(digest)
            self.rows_accepted += 1
            if self.on_row:
                self.on_row(row, line)

    def _reject(self, record: Record, error: RowError) -> None:
        self.rules[error.rule] += 1
        if len(self.problems) >= SHOWN and self.on_bad is None:
            return
        problem = RowProblem(
            file=self.name,
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
        if self.on_bad:
            text = record.raw.decode("utf-8", errors="backslashreplace")
            self.on_bad(orjson.dumps({**problem.model_dump(), "text": text}) + b"\n")


def _excerpt(record: Record, error: RowError) -> str:
    """The offending text, cut."""
    found: Any = error.found
    if found is None:
        return record.raw[: 4 * _EXCERPT].decode("utf-8", errors="replace")[:_EXCERPT]
    text = found if isinstance(found, str) else orjson.dumps(found).decode()
    return text if len(text) <= _EXCERPT else text[: _EXCERPT - 1] + "…"
