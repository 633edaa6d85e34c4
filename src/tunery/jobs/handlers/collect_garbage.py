"""Frees the bytes of what was deleted: blobs that nothing needs any more."""

from typing import Any

from sqlalchemy import Connection

from tunery.db.engine import reading
from tunery.jobs.garbage import Needed, candidates, drop_stale_analyses, remove
from tunery.jobs.queue import Claim, finish
from tunery.jobs.work import Work

API_VERSION = 1


def work(work: Work) -> None:
    with work.writing() as connection:
        dropped = drop_stale_analyses(connection)
    needed = Needed(work.blobs)
    with reading(work.engine) as connection:
        before = needed.now(connection)
    count = size = 0
    for batch in candidates(work.blobs, before):
        with work.writing() as connection:
            removed, freed = remove(connection, work.blobs, needed, batch)
        count += removed
        size += freed
        work.report({"stage": "collecting", "done": count, "bytes": size})
    with work.writing() as connection:
        result = {"blobs": count, "bytes": size, "analyses": dropped}
        finish(connection, work.claim, "succeeded", result=result)


def failed(connection: Connection, claim: Claim, problem: dict[str, Any]) -> None:
    """Its end is on the task; nothing else shows it."""
