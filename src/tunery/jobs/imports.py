"""What every import does with rows, wherever they come from: good ones become a version, bad ones are set aside.

An import can be begun again from the start: nothing is kept before its last transaction. It doesn't know where the
rows lie.
"""

import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any, BinaryIO

from sqlalchemy import Connection, select, update

from tunery.core.clock import now_us
from tunery.core.errors import Problem
from tunery.data.attach import OnImage
from tunery.data.check import OnBad, OnRows, Progress
from tunery.data.formats.point import FORMATS
from tunery.data.store import VersionReader, VersionWriter
from tunery.db.tables import dataset, dataset_version
from tunery.jobs.queue import Claim, finish
from tunery.jobs.work import Work
from tunery.schemas.check import CheckReport

_TELL_SECONDS = 0.5

ReadRows = Callable[[OnRows, OnBad, OnImage], CheckReport]
"""Reads every row: good ones to the first, quarantine lines to the second, the images they show to the third."""


@contextmanager
def scratch_beside(staged: Path, token: int) -> Iterator[Path]:
    """A folder beside the staged file; what a killed worker left in its own goes first."""
    for left in staged.parent.glob(f"{staged.name}.[0-9]*"):
        shutil.rmtree(left, ignore_errors=True)
    folder = staged.with_name(f"{staged.name}.{token}")
    folder.mkdir()
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def import_rows(
    work: Work, name: str, scratch: Path, read: ReadRows, *, keep_until: int | None = None
) -> CheckReport:
    """Read rows into the version that waits for them and finish the task; `name` is what to call their source.

    `keep_until`: how long the source stays if rows are left out. Raises Problem `no_rows`.
    """
    payload = work.claim.payload
    with (
        (scratch / "quarantine").open("w+b") as quarantine,
        VersionWriter(work.blobs, scratch=scratch) as writer,
    ):
        report = read(writer.append, lambda line: _write(quarantine, line), writer.add_image)
        if report.rows_accepted == 0 and payload["accept_bad_rows"]:
            raise Problem("no_rows", path=name)
        quarantine.flush()
        found = {
            "format": report.format,
            "quarantine": work.blobs.put_file(scratch / "quarantine") if report.rows_rejected else None,
            "bytes": report.bytes,
            "report": asdict(report),
            "kept_until": keep_until if report.rows_rejected else None,
        }
        if report.rows_rejected and not payload["accept_bad_rows"]:
            _refuse(work, report, found)
        else:
            _keep(work, report, writer, found)
    return report


def give_up(work: Work, problem: Problem, *, keep_until: int | None = None) -> None:
    """End the task here, so that what was staged goes only when its end is on record."""
    with work.writing() as connection:
        finish(connection, work.claim, "failed", reason=problem.as_dict())
        mark_failed(connection, work.claim, problem.as_dict(), keep_until=keep_until)


def mark_failed(
    connection: Connection, claim: Claim, problem: dict[str, Any], *, keep_until: int | None = None
) -> None:
    """The version will not come; say why."""
    connection.execute(
        update(dataset_version)
        .where(dataset_version.c.id == claim.payload["version"])
        .values(state="failed", error=problem, kept_until=keep_until)
    )


def failed_before(connection: Connection, claim: Claim) -> list[str]:
    """Versions of the same dataset whose import failed: once another succeeds, nobody goes back to their files."""
    this = select(dataset_version.c.dataset_id).where(dataset_version.c.id == claim.payload["version"])
    query = select(dataset_version.c.id).where(
        dataset_version.c.dataset_id == this.scalar_subquery(), dataset_version.c.state == "failed"
    )
    return list(connection.scalars(query))


def telling(work: Work, size: int) -> Progress:
    """A `progress` that tells how many of `size` bytes are read, not too often."""
    told = time.monotonic()

    def progress(bytes: int, rows: int) -> None:
        nonlocal told
        if time.monotonic() - told > _TELL_SECONDS:
            told = time.monotonic()
            work.report({"stage": "reading", "done": bytes, "total": max(size, 1), "rows": rows})

    return progress


def _keep(work: Work, report: CheckReport, writer: VersionWriter, found: dict[str, Any]) -> None:
    payload = work.claim.payload
    kind = FORMATS.load(report.format).ROW_KIND
    assert report.content_hash is not None
    manifest = writer.finish(report.content_hash, report.format, kind)
    with work.writing() as connection:
        connection.execute(
            update(dataset_version)
            .where(dataset_version.c.id == payload["version"])
            .values(
                state="published" if payload["publish"] else "draft",
                published=now_us() if payload["publish"] else None,
                row_kind=kind,
                content_hash=report.content_hash,
                manifest=manifest,
                rows=report.rows_accepted if report.drawn is None else report.drawn.rows,
                characters=VersionReader(work.blobs, manifest).manifest.characters,
                error=None,
                **found,
            )
        )
        _settle_format(connection, work.claim, report.format)
        connection.execute(
            update(dataset_version)
            .where(dataset_version.c.id.in_(failed_before(connection, work.claim)))
            .values(kept_until=None)
        )
        finish(connection, work.claim, "succeeded")


def _write(file: BinaryIO, line: bytes) -> None:
    file.write(line)


def _refuse(work: Work, report: CheckReport, found: dict[str, Any]) -> None:
    """There are bad rows and the user did not say to go on without them: show them, keep nothing."""
    problem = Problem("rows_rejected", rejected=report.rows_rejected, read=report.rows_read).as_dict()
    with work.writing() as connection:
        connection.execute(
            update(dataset_version)
            .where(dataset_version.c.id == work.claim.payload["version"])
            .values(**found)
        )
        _settle_format(connection, work.claim, report.format)
        finish(connection, work.claim, "failed", reason=problem)
        mark_failed(connection, work.claim, problem, keep_until=found["kept_until"])


def _settle_format(connection: Connection, claim: Claim, found: str) -> None:
    """A dataset takes the format of its first version."""
    id = connection.scalar(
        select(dataset_version.c.dataset_id).where(dataset_version.c.id == claim.payload["version"])
    )
    connection.execute(
        update(dataset).where(dataset.c.id == id, dataset.c.format == "unknown").values(format=found)
    )
