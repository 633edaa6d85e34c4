"""Checking a file with a bar, and the report of it in words."""

import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import BinaryIO

from tunery.cli.output import answer, say, table, wants_json
from tunery.schemas.check import CheckReport
from tunery.schemas.dataset import DatasetVersion
from tunery.schemas.file_options import FileOptions

Bytes = Callable[[int, int], None]
"""Told (bytes done, bytes in all)."""

SHOWN = 10
"""So many problems are listed."""


@contextmanager
def byte_progress(what: str) -> Iterator[Bytes]:
    """A bar over bytes on a terminal, nothing elsewhere."""
    if wants_json() or not sys.stderr.isatty():
        yield lambda done, total: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(what, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def check_with_progress(file: Path, options: FileOptions, quarantine: Path | None) -> CheckReport:
    """Check a file; bad rows go to `quarantine`, which is made only when there are any. Raises Problem."""
    from tunery.data.check import check_file
    from tunery.data.names import FileNames

    total = file.stat().st_size if file.is_file() else 0
    with ExitStack() as stack:
        progress = stack.enter_context(byte_progress("checking"))
        written: list[BinaryIO] = []

        def on_bad(line: bytes) -> None:
            assert quarantine is not None
            if not written:
                written.append(stack.enter_context(quarantine.open("wb")))
            written[0].write(line)

        return check_file(
            file,
            options.format,
            salvage=options.salvage,
            names=FileNames.of(options),
            on_bad=None if quarantine is None else on_bad,
            progress=lambda done, _: progress(done, total),
        )


def tell_end(version: DatasetVersion) -> None:
    """How an import ended."""

    def people() -> None:
        if version.report is not None:
            show_report(version.report, shown=SHOWN)
        say(f"{version.dataset}@{version.version} is {version.state}: {version.rows:,} rows.")

    answer(version, people)


def show_report(report: CheckReport, *, shown: int) -> None:
    """The report in words: counts first, then what is wrong and how to fix it."""
    say(f"Format {report.format}: {report.reason}.")
    say(
        f"{report.rows_read:,} rows read = {report.rows_accepted:,} accepted + {report.rows_rejected:,} rejected"
    )
    if report.drawn:
        say(
            f"{report.drawn.rows:,} of the accepted rows are kept, drawn at random with seed {report.drawn.seed}: "
            "this format takes no more."
        )
    if report.duplicates:
        say(f"{report.duplicates:,} accepted rows repeat an earlier one; they are kept.")
    if report.rows_rejected:
        table(["rule", "rows"], report.problems_by_rule.items())
    for line in problem_lines(report, shown=shown):
        say(line)


def problem_lines(report: CheckReport, *, shown: int) -> Iterator[str]:
    """The first bad rows, each with the place, the rule, the cure and the offending text."""
    for problem in report.problems[:shown]:
        field = f", {problem.field}" if problem.field else ""
        yield f"{problem.file}:{problem.line} (row {problem.row}{field}): {problem.rule}. {problem.fix}"
        yield f"    {problem.excerpt}"
    if report.rows_rejected > shown:
        yield f"… and {report.rows_rejected - shown:,} more; `tunery data check --quarantine FILE` writes them all."
