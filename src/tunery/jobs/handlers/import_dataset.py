"""Imports an uploaded file as a dataset version: every row read, good ones stored, bad ones set aside.

The file stays while a user may want to import it again: after a refusal, and where bad rows were left out.
"""

from pathlib import Path, PurePosixPath
from typing import Any

from sqlalchemy import Connection

from tunery.core.clock import now_us
from tunery.core.errors import Problem
from tunery.core.files import sha256_file
from tunery.core.folder import fixes_of
from tunery.core.storage import storage_problem
from tunery.data.attach import OnImage
from tunery.data.check import OnBad, OnRows, check_file
from tunery.data.fixed import read_fixed
from tunery.data.member import unpack_member
from tunery.data.names import FileNames
from tunery.db.engine import reading
from tunery.jobs.imports import failed_before, give_up, import_rows, mark_failed, scratch_beside, telling
from tunery.jobs.queue import Claim
from tunery.jobs.work import Work
from tunery.schemas.check import CheckReport
from tunery.schemas.dataset import ImportOptions

API_VERSION = 1
_HOUR = 3_600_000_000
_AGAIN = frozenset({"json_broken", "format_unknown", "column_unknown", "no_rows"})
"""Failures after which the file may be imported again in another way; otherwise it goes."""


def work(work: Work) -> None:
    upload = Path(work.claim.payload["path"])
    till = now_us() + int(work.settings.upload_keep_hours * _HOUR)
    try:
        with scratch_beside(upload, work.claim.token) as scratch:
            report = import_rows(
                work,
                work.claim.payload["filename"],
                scratch,
                lambda on_rows, on_bad, on_image: _read(work, upload, scratch, on_rows, on_bad, on_image),
                keep_until=till,
            )
            stays = report.rows_rejected > 0
            if not stays or work.claim.payload["accept_bad_rows"]:
                _forget_failed(work, upload.parent)
    except Problem as problem:
        stays = problem.code in _AGAIN
        give_up(work, problem, keep_until=till if stays else None)
    except OSError as error:
        if (problem := storage_problem(error, upload.parent)) is None:
            raise
        stays = problem.code != "disk_full"  # a file that goes makes room
        give_up(work, problem, keep_until=till if stays else None)
    if not stays:
        _forget(upload)


def _forget(upload: Path) -> None:
    upload.unlink(missing_ok=True)
    fixes_of(upload).unlink(missing_ok=True)


def _forget_failed(work: Work, folder: Path) -> None:
    with reading(work.engine) as connection:
        for version in failed_before(connection, work.claim):
            _forget(folder / version)


def _read(
    work: Work, upload: Path, scratch: Path, on_rows: OnRows, on_bad: OnBad, on_image: OnImage
) -> CheckReport:
    payload = work.claim.payload
    options = ImportOptions.model_validate(payload["options"])
    name = payload["filename"]
    _verify(upload, payload["sha256"])
    file = upload
    if options.member is not None:
        file = scratch / "member"
        unpack_member(upload, name, options.member, file)
        name = PurePosixPath(options.member).name
    return check_file(
        file,
        options.format,
        name=name,
        salvage=options.salvage,
        names=FileNames.of(options),
        fixes=read_fixed(fixes_of(upload)),
        on_rows=on_rows,
        on_bad=on_bad,
        on_image=on_image,
        progress=telling(work, file.stat().st_size),
    )


def _verify(upload: Path, expected: str | None) -> None:
    if expected is not None and (found := sha256_file(upload)) != expected:
        raise Problem("checksum_differs", found=found, expected=expected)


def failed(connection: Connection, claim: Claim, problem: dict[str, Any]) -> None:
    mark_failed(connection, claim, problem)
