"""Measures a version: lengths, tokens, languages, repeats; and what of it is known of each row."""

from pathlib import Path
from typing import Any

from sqlalchemy import Connection

from tunery.data.statistics import measure
from tunery.data.store import VersionReader
from tunery.jobs.analyses import finding_out, keep, telling
from tunery.jobs.queue import Claim
from tunery.jobs.work import Work
from tunery.models.folder import inspect_folder
from tunery.models.rendering import renderer_of

API_VERSION = 1


def work(work: Work) -> None:
    payload = work.claim.payload
    with finding_out(work) as folder:
        version = VersionReader(work.blobs, payload["manifest"])
        renderer = None
        if payload["path"] is not None:
            renderer = renderer_of(inspect_folder(Path(payload["path"])))
        facts = folder / "facts"
        found, lengths = measure(version, renderer, facts, telling(work, len(version)))
        keep(work, {"found": found.model_dump(mode="json"), "lengths": lengths}, facts)


def failed(connection: Connection, claim: Claim, problem: dict[str, Any]) -> None:
    """Its reason is on the task, where the statistics are looked up."""
