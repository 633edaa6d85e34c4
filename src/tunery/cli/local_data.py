"""The files a local run names, checked row by row, held in order to be picked from, and laid out for the engine."""

from array import array
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO

from tunery.cli.output import note
from tunery.cli.reports import byte_progress, problem_lines
from tunery.core.errors import Problem, Where
from tunery.core.files import append_line
from tunery.data import general
from tunery.data.check import check_file
from tunery.data.estimate import TestRows, look_for_leaks, sample_tokens
from tunery.data.formats.point import FORMATS
from tunery.data.laid_out import (
    HELD_OUT,
    TRAIN,
    VALIDATION,
    Sources,
    laid_out_parts,
    lay_out_held_out,
    lay_out_training,
)
from tunery.data.replay import Rows
from tunery.data.select import LONGEST_VALIDATION
from tunery.models.lengths import token_length
from tunery.schemas.check import CheckReport
from tunery.schemas.engine import Part
from tunery.schemas.recipe import LeakReport
from tunery.schemas.run import DataRef, ResolvedSpec, RunSpec
from tunery.services.recipe import DataFacts, shipped_facts

QUARANTINE = "quarantine.jsonl"
_SHOWN = 5


@dataclass(frozen=True)
class LocalData:
    """Arrow files of a run."""

    train: list[str]
    validation: str | None
    held_out: str | None
    parts: list[Part]

    @classmethod
    def of_folder(cls, folder: Path) -> "LocalData":
        """What was laid out in a folder."""
        train, validation, held_out = ((folder / name).absolute() for name in (TRAIN, VALIDATION, HELD_OUT))
        if not train.is_file():
            raise Problem("file_missing", path=str(train), base=str(folder))
        return cls(
            [str(train)],
            str(validation) if validation.is_file() else None,
            str(held_out) if held_out.is_file() else None,
            laid_out_parts(folder),
        )


class HeldRows:
    """Canonical rows in a file, and where each begins; memory holds eight bytes a row."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._starts = array("Q")
        self._end = 0
        self.characters = 0

    def append(self, lines: Sequence[bytes], characters: int) -> None:
        """Add rows in canonical form."""
        self.characters += characters
        for line in lines:
            self._starts.append(self._end)
            self._end += self._file.write(line + b"\n")

    def __len__(self) -> int:
        return len(self._starts)

    def lines(self) -> Iterator[bytes]:
        """All rows."""
        return self.pick(range(len(self)))

    def pick(self, numbers: Sequence[int]) -> Iterator[bytes]:
        """The rows with these numbers, in this order."""
        self._file.flush()
        at = -1
        for number in numbers:
            start = self._starts[number]
            if start != at or self._file.tell() != at:
                self._file.seek(start)
            line = self._file.readline()
            at = start + len(line)
            yield line[:-1]


@dataclass(frozen=True)
class Checked:
    """One file that can be trained on."""

    facts: DataFacts
    rows: HeldRows


@dataclass(frozen=True)
class CheckedFiles:
    """Every file a spec names, read once."""

    train: list[Checked]
    validation: Checked | None
    held_out: Checked | None
    general: DataFacts | None

    def leaks(self, evaluated: int) -> LeakReport | None:
        """A quick look for test rows among the training rows; of the held-out rows so many are `evaluated`."""
        tests: list[TestRows] = []
        if (one := self.validation) is not None:
            tests.append(TestRows("validation", one.facts.label, one.rows, LONGEST_VALIDATION))
        if (one := self.held_out) is not None:
            tests.append(TestRows("held_out", one.facts.label, one.rows, evaluated))
        return look_for_leaks({one.facts.label: one.rows for one in self.train}, tests)

    def measured(self, base: Path) -> "CheckedFiles":
        """The same with tokens counted on a sample."""
        length = token_length(base)

        def measure(facts: DataFacts, rows: Rows) -> DataFacts:
            return facts.sampled(sample_tokens(rows, length))

        corpus = self.general and measure(self.general, general.shipped(self.general.row_kind))
        train = [Checked(measure(one.facts, one.rows), one.rows) for one in self.train]
        return replace(self, train=train, general=corpus)

    def lay_out(self, folder: Path, resolved: ResolvedSpec) -> None:
        """Write what the resolved spec wants of them as Arrow files."""
        joins = resolved.spec.settings.get("pseudo_multi_turn_probability", 0) > 0
        sources = Sources(
            train=[one.rows for one in self.train],
            validation=self.validation.rows if self.validation else None,
            general=None if self.general is None else general.shipped(self.general.row_kind),
            held_out=self.held_out.rows if self.held_out else None,
            length=token_length(Path(resolved.spec.base_model)) if joins else None,
        )
        lay_out_training(folder, sources, resolved)
        if self.held_out is not None:
            lay_out_held_out(folder, self.held_out.rows, resolved.spec.evaluate.max_rows)


@contextmanager
def checked_files(spec: RunSpec, folder: Path, *, accept_bad_rows: bool) -> Iterator[CheckedFiles]:
    """Read every row of every file. Bad rows that are accepted to be left out go to a file in `folder`.

    Raises Problem `rows_rejected` unless `accept_bad_rows`, and those of unreadable files.
    """

    with ExitStack() as open_files:

        def check(ref: DataRef) -> Checked:
            rows = HeldRows(open_files.enter_context(TemporaryFile(dir=folder)))
            return Checked(_check(ref, rows, folder / QUARANTINE if accept_bad_rows else None), rows)

        train = [check(ref) for ref in spec.data.train]
        yield CheckedFiles(
            train=train,
            validation=check(spec.data.validation) if spec.data.validation else None,
            held_out=check(spec.evaluate.dataset) if spec.evaluate.dataset else None,
            general=_general(spec, train[0].facts),
        )


def _general(spec: RunSpec, like: DataFacts) -> DataFacts | None:
    """The general corpus that ships, where the spec asks for one."""
    mix = spec.data.mix
    if mix is None:
        return None
    if mix.dataset not in (None, general.NAME):
        raise Problem("needs_server", what=f"The dataset “{mix.dataset}”", where=Where(field="data.mix"))
    return shipped_facts(spec.method, like.row_kind)


def _check(ref: DataRef, rows: HeldRows, quarantine: Path | None) -> DataFacts:
    assert ref.path is not None
    path = Path(ref.path)
    total = path.stat().st_size
    with byte_progress(f"checking {path.name}") as progress:
        report = check_file(
            path,
            ref.format,
            on_rows=rows.append,
            on_bad=None if quarantine is None else lambda line: append_line(quarantine, line),
            progress=lambda done, _: progress(done, total),
        )
    if report.rows_rejected:
        _tell(path, report, refused=quarantine is None)
    assert report.content_hash is not None
    return DataFacts(
        label=ref.path,
        format=report.format,
        row_kind=FORMATS.load(report.format).ROW_KIND,
        rows=len(rows),
        content_hash=report.content_hash,
        characters=rows.characters,
        text_rows=report.text_rows,
        text_characters=report.text_characters,
        images=report.images > 0,
    )


def _tell(path: Path, report: CheckReport, *, refused: bool) -> None:
    """Name the bad rows. Raises Problem `rows_rejected` when they aren't accepted to be left out."""
    for line in problem_lines(report, shown=_SHOWN):
        note(line)
    if refused:
        raise Problem(
            "rows_rejected", where=Where(file=str(path)), rejected=report.rows_rejected, read=report.rows_read
        )
    note(f"{path.name}: {report.rows_accepted:,} of {report.rows_read:,} rows are used.")
