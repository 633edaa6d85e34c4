"""Carries out cleaning steps one after the other, each on what the one before left. Every row is accounted for.

Between two steps the rows lie in a file, so memory doesn't grow with their number. It doesn't know where the rows
come from or go to.
"""

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from tunery.core.errors import Problem, Where
from tunery.core.files import is_disk_full
from tunery.data.cleaning.point import STEPS, Changed, Removed, Rows, Step, Tools, Verdict
from tunery.data.questions import text_of
from tunery.data.rows import Row, characters, decode_row, encode_row
from tunery.schemas.base import Schema
from tunery.schemas.cleaning import CleaningSample, CleaningStep, StepReport
from tunery.schemas.words import said

SHOWN = 5
"""Rows shown of each reason."""
_REASONS = 20
_EXCERPT = 400
_TOLD = 1000
_BATCH = 1000

Progress = Callable[[int, int], None]
"""Told the step's number, from 1, and how many of its rows are done."""
OnRows = Callable[[list[bytes], int], None]


@dataclass(frozen=True)
class Ready:
    """A step with its settings checked."""

    name: str
    step: Step
    settings: Schema

    @property
    def datasets(self) -> list[str]:
        """Other datasets that it needs."""
        return self.step.datasets(self.settings)


def ready(steps: Sequence[CleaningStep]) -> list[Ready]:
    """Look up every step and check its settings. Raises Problem `unknown_extension`, `step_invalid`."""
    return [_ready(number, wanted) for number, wanted in enumerate(steps)]


def _ready(number: int, wanted: CleaningStep) -> Ready:
    step = STEPS.load(wanted.step)
    try:
        return Ready(wanted.step, step, step.Settings.model_validate(wanted.settings))
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        name = ".".join(str(part) for part in first["loc"])
        detail = f"{name}: {said(first)}" if name else said(first)
        where = Where(field=f"steps.{number}.settings" + (f".{name}" if name else ""))
        raise Problem("step_invalid", where=where, step=wanted.step, detail=detail) from error


@dataclass(frozen=True)
class Cleaned:
    """What came out."""

    steps: list[StepReport]
    content_hash: str
    rows: int


def clean(
    source: Rows,
    steps: Sequence[Ready],
    *,
    scratch: Path,
    dataset: Callable[[str], Iterable[Row]],
    on_rows: OnRows,
    progress: Progress | None = None,
) -> Cleaned:
    """Do the steps in order. `on_rows` gets the rows that are left, in canonical form, with their characters."""
    reports: list[StepReport] = []
    rows: Rows = source
    numbers: Iterable[int] = range(len(source))
    before: _Spool | None = None
    for at, step in enumerate(steps, start=1):
        spool = _Spool(scratch / f"rows-{at}")
        report = _Report(step)
        tools = Tools(scratch, dataset)
        verdicts = step.step.clean(rows, step.settings, tools)
        for done, (number, row, verdict) in enumerate(zip(numbers, rows, verdicts, strict=True)):
            kept = report.judge(number, row, verdict)
            if kept is not None:
                spool.add(number, kept)
            if progress and done % _TOLD == 0:
                progress(at, done)
        spool.close()
        reports.append(report.finish())
        if before is not None:
            before.forget()
        rows, numbers, before = spool, spool.numbers(), spool
    content = hashlib.sha256()
    for lines, size in _batches(rows):
        content.update(b"\n".join([*lines, b""]))
        on_rows(lines, size)
    if before is not None:
        before.forget()
    return Cleaned(reports, content.hexdigest(), len(rows))


class _Report:
    """What a step does, row by row."""

    def __init__(self, step: Ready) -> None:
        self._step = step
        self._removed = self._changed = self._kept = 0
        self._reasons: Counter[str] = Counter()
        self._samples: list[CleaningSample] = []

    def judge(self, number: int, row: Row, verdict: Verdict) -> Row | None:
        """The row as it goes on; None where it is removed."""
        if isinstance(verdict, Removed):
            self._removed += 1
            self._note(number, verdict.shown or row, verdict.why, None)
            return None
        self._kept += 1
        if isinstance(verdict, Changed):
            self._changed += 1
            self._note(number, verdict.shown or row, verdict.why, verdict.row)
            return verdict.row
        return verdict

    def _note(self, number: int, row: Row, why: str, after: Row | None) -> None:
        if why not in self._reasons and len(self._reasons) >= _REASONS:
            why = "other reasons"
        self._reasons[why] += 1
        if self._reasons[why] <= SHOWN:
            told = None if after is None else _cut(text_of(after))
            self._samples.append(CleaningSample(row=number, why=why, before=_cut(text_of(row)), after=told))

    def finish(self) -> StepReport:
        return StepReport(
            step=self._step.name,
            settings=self._step.settings.model_dump(mode="json"),
            rows_before=self._removed + self._kept,
            removed=self._removed,
            changed=self._changed,
            rows_after=self._kept,
            reasons=dict(self._reasons.most_common()),
            samples=self._samples,
        )


class _Spool:
    """Rows in a file, each with its number in the version that is cleaned."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = path.open("wb")
        self._count = 0

    def add(self, number: int, row: Row) -> None:
        """Raises Problem `disk_full`."""
        self._count += 1
        try:
            self._file.write(b"%d\t%s\n" % (number, encode_row(row)))
        except OSError as error:
            raise self._full(error) from error

    def close(self) -> None:
        try:
            self._file.close()
        except OSError as error:
            raise self._full(error) from error

    def forget(self) -> None:
        self._path.unlink()

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[Row]:
        with self._path.open("rb") as file:
            for line in file:
                yield decode_row(line.partition(b"\t")[2])

    def numbers(self) -> Iterator[int]:
        with self._path.open("rb") as file:
            for line in file:
                yield int(line.partition(b"\t")[0])

    def _full(self, error: OSError) -> Exception:
        return Problem("disk_full", path=str(self._path.parent)) if is_disk_full(error) else error


def _batches(rows: Iterable[Row]) -> Iterator[tuple[list[bytes], int]]:
    lines: list[bytes] = []
    size = 0
    for row in rows:
        lines.append(encode_row(row))
        size += characters(row)
        if len(lines) == _BATCH:
            yield lines, size
            lines, size = [], 0
    if lines:
        yield lines, size


def _cut(text: str) -> str:
    return text if len(text) <= _EXCERPT else text[: _EXCERPT - 1] + "…"
