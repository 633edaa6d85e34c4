"""What tasks that find something out about a version share: a place to write, telling how far they are, the outcome.

A worker that is to end gives such a task back at once; it begins again, for nothing is kept before the end.
"""

import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import update

from tunery.core.clock import now_us
from tunery.core.folder import DataFolder
from tunery.db.tables import analysis
from tunery.jobs.queue import Fenced, finish, give_back
from tunery.jobs.work import Work

_TELL_SECONDS = 0.5


class Closing(Exception):
    """The worker is to end."""


def analysis_folder(uploads: Path, task: str) -> Path:
    """Where a task that finds something out writes until it has ended."""
    return uploads / f"analysis_{task}"


@contextmanager
def finding_out(work: Work) -> Iterator[Path]:
    """A folder to write in, gone afterwards. Given back where the worker is to end."""
    folder = analysis_folder(DataFolder(work.settings.folder).uploads, work.claim.task)
    # What a killed worker left.
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    try:
        yield folder
    except Closing:
        with work.writing() as connection:
            give_back(connection, work.claim, None)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def telling(work: Work, total: int) -> Callable[[int], None]:
    """A `tick` that tells how many of `total` rows are done, not too often. Raises Closing, Fenced."""
    told = time.monotonic()

    def tick(done: int) -> None:
        nonlocal told
        if work.closing.is_set():
            raise Closing
        if work.lost.is_set():
            raise Fenced(work.claim.task)
        if time.monotonic() - told > _TELL_SECONDS:
            told = time.monotonic()
            work.report({"stage": "reading", "done": done, "total": max(total, 1)})

    return tick


def keep(work: Work, result: dict[str, Any], detail: Path | None = None) -> None:
    """Keep an outcome, with the file of what is known of each row where there is one, and end the task."""
    blob = None if detail is None else work.blobs.put_file(detail)
    with work.writing(durable=False) as connection:
        connection.execute(
            update(analysis)
            .where(analysis.c.id == work.claim.payload["analysis"])
            .values(result=result, detail=blob, computed=now_us())
        )
        finish(connection, work.claim, "succeeded")
