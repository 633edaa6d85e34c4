"""Finds out how one version of a dataset differs from another, row by row."""

from typing import Any

from sqlalchemy import Connection

from tunery.data.difference import compare
from tunery.data.store import VersionReader
from tunery.jobs.analyses import finding_out, keep, telling
from tunery.jobs.queue import Claim
from tunery.jobs.work import Work

API_VERSION = 1


def work(work: Work) -> None:
    payload = work.claim.payload
    with finding_out(work) as folder:
        old = VersionReader(work.blobs, payload["old"])
        new = VersionReader(work.blobs, payload["new"])
        pairs = folder / "pairs"
        counts = compare(old, new, pairs, telling(work, len(old) + len(new)))
        keep(work, counts.model_dump(mode="json"), pairs)


def failed(connection: Connection, claim: Claim, problem: dict[str, Any]) -> None:
    """Its reason is on the task, where the comparison is looked up."""
