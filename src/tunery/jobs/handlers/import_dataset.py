"""Imports an uploaded file as a dataset version: every row read, good ones stored, bad ones set aside."""

import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from sqlalchemy import Connection, select, update

from tunery.core.clock import now_us
from tunery.core.errors import Problem
from tunery.core.files import is_disk_full
from tunery.data.check import check_file
from tunery.data.formats.point import FORMATS
from tunery.data.store import VersionReader, VersionWriter
from tunery.db.tables import dataset, dataset_version
from tunery.jobs.queue import Claim, finish
from tunery.jobs.work import Work
from tunery.schemas.dataset import CheckReport

API_VERSION = 1
USES_ENGINE = False
_TELL_SECONDS = 0.5


def work(work: Work) -> None:
    upload = Path(work.claim.payload["path"])
    try:
        with _scratch(upload, work.claim.token) as scratch:
            _import(work, upload, scratch)
    except Problem as problem:
        _give_up(work, problem)
    except OSError as error:
        if not is_disk_full(error):
            raise
        _give_up(work, Problem("disk_full", path=str(upload.parent)))
    upload.unlink(missing_ok=True)


@contextmanager
def _scratch(upload: Path, token: int) -> Iterator[Path]:
    """A folder beside the upload; what a killed worker left in its own goes first."""
    for left in upload.parent.glob(f"{upload.name}.*"):
        shutil.rmtree(left, ignore_errors=True)
    folder = upload.with_name(f"{upload.name}.{token}")
    folder.mkdir()
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _import(work: Work, upload: Path, scratch: Path) -> None:
    payload = work.claim.payload
    with (
        tempfile.TemporaryFile(dir=scratch) as quarantine,
        VersionWriter(work.blobs, scratch=scratch) as writer,
    ):
        report = _read(work, upload, writer, quarantine)
        if report.rows_accepted == 0 and payload["accept_bad_rows"]:
            raise Problem("no_rows", path=payload["filename"])
        if report.rows_rejected and not payload["accept_bad_rows"]:
            _refuse(work, report, quarantine)
        else:
            _keep(work, report, writer, quarantine)


def _give_up(work: Work, problem: Problem) -> None:
    """End the task here, so that the upload goes only when its end is on record."""
    with work.writing() as connection:
        finish(connection, work.claim, "failed", reason=problem.as_dict())
        failed(connection, work.claim, problem.as_dict())


def _read(work: Work, upload: Path, writer: VersionWriter, quarantine: BinaryIO) -> CheckReport:
    """Read every row: good ones to the writer, which keeps nothing until it is finished, bad ones aside."""
    payload = work.claim.payload
    size = max(upload.stat().st_size, 1)
    told = time.monotonic()

    def progress(bytes: int, rows: int) -> None:
        nonlocal told
        if time.monotonic() - told > _TELL_SECONDS:
            told = time.monotonic()
            work.report({"stage": "reading", "done": bytes, "total": size, "rows": rows})

    return check_file(
        upload,
        payload["format"],
        name=payload["filename"],
        on_rows=writer.append,
        on_bad=lambda line: _write(quarantine, line),
        progress=progress,
    )


def _keep(work: Work, report: CheckReport, writer: VersionWriter, quarantine: BinaryIO) -> None:
    payload = work.claim.payload
    kind = FORMATS.load(report.format).ROW_KIND
    assert report.content_hash is not None
    manifest = writer.finish(report.content_hash, report.format, kind)
    bad = _put_quarantine(work, report, quarantine)
    with work.writing() as connection:
        connection.execute(
            update(dataset_version)
            .where(dataset_version.c.id == payload["version"])
            .values(
                state="published" if payload["publish"] else "draft",
                published=now_us() if payload["publish"] else None,
                format=report.format,
                row_kind=kind,
                content_hash=report.content_hash,
                manifest=manifest,
                quarantine=bad,
                rows=report.rows_accepted,
                characters=VersionReader(work.blobs, manifest).manifest.characters,
                bytes=report.bytes,
                report=report.model_dump(mode="json"),
            )
        )
        _settle_format(connection, work.claim, report.format)
        finish(connection, work.claim, "succeeded")


def _write(file: BinaryIO, line: bytes) -> None:
    file.write(line)


def _refuse(work: Work, report: CheckReport, quarantine: BinaryIO) -> None:
    """There are bad rows and the user did not say to go on without them: show them, keep nothing."""
    problem = Problem("rows_rejected", rejected=report.rows_rejected, read=report.rows_read).as_dict()
    bad = _put_quarantine(work, report, quarantine)
    with work.writing() as connection:
        connection.execute(
            update(dataset_version)
            .where(dataset_version.c.id == work.claim.payload["version"])
            .values(
                format=report.format,
                quarantine=bad,
                bytes=report.bytes,
                report=report.model_dump(mode="json"),
            )
        )
        _settle_format(connection, work.claim, report.format)
        finish(connection, work.claim, "failed", reason=problem)
        failed(connection, work.claim, problem)


def _put_quarantine(work: Work, report: CheckReport, quarantine: BinaryIO) -> str | None:
    if report.rows_rejected == 0:
        return None
    quarantine.seek(0)
    return work.blobs.put_bytes(quarantine.read())


def _settle_format(connection: Connection, claim: Claim, found: str) -> None:
    """A dataset takes the format of its first version."""
    id = connection.scalar(
        select(dataset_version.c.dataset_id).where(dataset_version.c.id == claim.payload["version"])
    )
    connection.execute(
        update(dataset).where(dataset.c.id == id, dataset.c.format == "unknown").values(format=found)
    )


def failed(connection: Connection, claim: Claim, problem: dict[str, Any]) -> None:
    connection.execute(
        update(dataset_version)
        .where(dataset_version.c.id == claim.payload["version"])
        .values(state="failed", error=problem)
    )
