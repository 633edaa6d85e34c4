"""Cleans a version by a list of steps: what is left becomes the version that waits for it."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, update

from tunery.core.clock import now_us
from tunery.core.errors import Problem
from tunery.data.clean import Cleaned, clean, ready
from tunery.data.rows import Row
from tunery.data.store import VersionReader, VersionWriter
from tunery.db.tables import dataset_version
from tunery.jobs.analyses import finding_out, telling
from tunery.jobs.queue import Claim, finish
from tunery.jobs.work import Work
from tunery.schemas.cleaning import CleaningReport, CleaningStep

API_VERSION = 1


def work(work: Work) -> None:
    payload = work.claim.payload
    with finding_out(work) as folder, VersionWriter(work.blobs, scratch=folder) as writer:
        source = VersionReader(work.blobs, payload["manifest"])
        cleaned = _clean(work, source, folder, writer)
        if cleaned.rows == 0:
            raise Problem("nothing_left", dataset=payload["source"])
        manifest = writer.finish(cleaned.content_hash, source.manifest.format, source.manifest.row_kind)
        _keep(work, source, cleaned, manifest)


def _clean(work: Work, source: VersionReader, folder: Path, writer: VersionWriter) -> Cleaned:
    payload = work.claim.payload
    steps = ready([CleaningStep.model_validate(step) for step in payload["steps"]])
    tick = telling(work, len(steps) * len(source))

    def dataset(name: str) -> Iterable[Row]:
        return VersionReader(work.blobs, payload["datasets"][name])

    return clean(
        source,
        steps,
        scratch=folder,
        dataset=dataset,
        on_rows=writer.append,
        progress=lambda step, done: tick((step - 1) * len(source) + done),
    )


def _keep(work: Work, source: VersionReader, cleaned: Cleaned, manifest: str) -> None:
    payload = work.claim.payload
    made = VersionReader(work.blobs, manifest).manifest
    report = CleaningReport(
        source=payload["source"],
        source_hash=source.manifest.content_hash,
        steps=cleaned.steps,
        rows_before=len(source),
        rows_after=cleaned.rows,
    )
    with work.writing() as connection:
        connection.execute(
            update(dataset_version)
            .where(dataset_version.c.id == payload["version"])
            .values(
                state="published" if payload["publish"] else "draft",
                published=now_us() if payload["publish"] else None,
                row_kind=made.row_kind,
                content_hash=cleaned.content_hash,
                manifest=manifest,
                rows=cleaned.rows,
                characters=made.characters,
                bytes=sum(shard.bytes for shard in made.shards),
                cleaning=report.model_dump(mode="json"),
                error=None,
            )
        )
        finish(connection, work.claim, "succeeded")


def failed(connection: Connection, claim: Claim, problem: dict[str, Any]) -> None:
    connection.execute(
        update(dataset_version)
        .where(dataset_version.c.id == claim.payload["version"])
        .values(state="failed", error=problem)
    )
