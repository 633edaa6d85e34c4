"""Removes what is no longer kept of finished runs, some at a time."""

from typing import Any

from sqlalchemy import Connection

from tunery.jobs import retention
from tunery.jobs.queue import Claim, finish
from tunery.jobs.retention import Removed
from tunery.jobs.work import Work

API_VERSION = 1
_STEPS = {
    "checkpoints": retention.trim_checkpoints,
    "logs": retention.trim_logs,
    "events": retention.trim_events,
}


def work(work: Work) -> None:
    claim, settings = work.claim, work.settings
    retention.empty(settings)  # what a worker that was killed had put aside
    found = {part: Removed() for part in (*_STEPS, "orphans")}
    for part, trim in _STEPS.items():
        while True:
            with work.writing() as connection:
                removed = trim(connection, settings, claim.project)
            found[part].add(removed.bytes, removed.count)
            retention.empty(settings)
            if not removed.count:
                break
    with work.writing() as connection:
        found["orphans"] = retention.trim_orphans(connection, settings)
        result: dict[str, Any] = {
            part: {"count": one.count, "bytes": one.bytes} for part, one in found.items()
        }
        finish(connection, claim, "succeeded", result=result)


def failed(connection: Connection, claim: Claim, problem: dict[str, Any]) -> None:
    """Its end is on the task; nothing else shows it."""
