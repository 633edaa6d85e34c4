"""Imports files of a connection as a dataset version, one after the other, as they were when the import was asked for.

One file at a time lies on this machine. After a crash it begins again; nothing is kept before the end.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, select

from tunery.connections.dial import dial
from tunery.connections.kinds.point import RemoteFile, Source
from tunery.core.errors import Problem
from tunery.core.folder import DataFolder
from tunery.data.archive import label_of
from tunery.data.attach import OnImage
from tunery.data.check import OnBad, OnRows, check_file
from tunery.data.names import FileNames
from tunery.db.engine import reading
from tunery.db.tables import connection
from tunery.jobs.imports import import_rows, mark_failed, scratch_beside, telling
from tunery.jobs.queue import Claim
from tunery.jobs.work import Work
from tunery.schemas.check import CheckReport
from tunery.schemas.dataset import ImportOptions

API_VERSION = 1
_PASSING = frozenset({"remote_timeout", "remote_broken", "remote_unreachable", "remote_host_unknown"})
_WAITS = (1.0, 3.0, 9.0)
"""Seconds before a file is asked for again after such a failure."""


def work(work: Work) -> None:
    payload = work.claim.payload
    place = DataFolder(work.settings.folder).uploads / payload["version"]
    with reading(work.engine) as rows:
        row = rows.execute(select(connection).where(connection.c.id == payload["connection"])).one_or_none()
    if row is None:
        raise Problem(
            "not_found", noun="connection", name=payload["filename"], list="tunery connections list"
        )
    with (
        scratch_beside(place, work.claim.token) as scratch,
        dial(work.settings, row.id, row.name, row.kind, row.settings, row.sealed) as source,
    ):
        fetched = _Fetched(work, source, scratch)
        import_rows(work, payload["filename"], scratch, fetched.read)


class _Fetched:
    """The files, each on this machine while its rows are read."""

    def __init__(self, work: Work, source: Source, scratch: Path) -> None:
        self._work = work
        self._source = source
        self._place = scratch / "fetched"
        self._files = [RemoteFile(**file) for file in work.claim.payload["files"]]
        self._tell = telling(work, sum(file.size for file in self._files))
        self._done = 0
        self._rows = 0

    def read(self, on_rows: OnRows, on_bad: OnBad, on_image: OnImage) -> CheckReport:
        options = ImportOptions.model_validate(self._work.claim.payload["options"])
        return check_file(
            self._each(),
            options.format,
            name=self._work.claim.payload["filename"],
            salvage=options.salvage,
            names=FileNames.of(options),
            on_rows=on_rows,
            on_bad=on_bad,
            on_image=on_image,
            progress=self._read_on,
        )

    def _each(self) -> Iterator[tuple[str, Path]]:
        for file in self._files:
            self._fetch(file)
            yield label_of(file.key), self._place
            self._place.unlink()

    def _fetch(self, file: RemoteFile) -> None:
        before = self._done
        for wait in (*_WAITS, None):
            try:
                self._copy(file)
                return
            except Problem as problem:
                if wait is None or not _passing(problem):
                    raise
                self._done = before
                self._work.closing.wait(wait)

    def _copy(self, file: RemoteFile) -> None:
        came = 0
        with self._place.open("wb") as target:
            for piece in self._source.read(file):
                came += len(piece)
                if came > file.size:
                    break
                target.write(piece)
                self._done += len(piece)
                self._tell(self._done, self._rows)
        if came != file.size:
            raise Problem("source_changed", key=file.key, detail="its size is another")

    def _read_on(self, bytes: int, rows: int) -> None:
        self._rows = rows
        self._tell(self._done, rows)


def _passing(problem: Problem) -> bool:
    """It may be gone when the file is asked for again."""
    if problem.code == "remote_answer":
        return int(problem.params["status"]) >= 500
    return problem.code in _PASSING


def failed(connection: Connection, claim: Claim, problem: dict[str, Any]) -> None:
    mark_failed(connection, claim, problem)
