"""Rows in a store, without a server; and a run in a database that needs some."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sqlalchemy import Connection

from tests.jobs.house import House
from tunery.blobs.point import BLOBS, BlobStore
from tunery.core.clock import now_us
from tunery.data.rows import Conversation, Message, Row, characters, encode_row
from tunery.data.store import VersionReader, VersionWriter
from tunery.db.tables import job, run
from tunery.schemas.check import RowKind


def blobs_in(folder: Path) -> BlobStore:
    return BLOBS.load("local").open_store(str(folder / "blobs"))


def keep(blobs: BlobStore, rows: Sequence[Row], kind: RowKind = "conversation") -> VersionReader:
    with VersionWriter(blobs) as writer:
        writer.append(list(map(encode_row, rows)), sum(map(characters, rows)))
        return VersionReader(blobs, writer.finish("0" * 64, "messages", kind))


def talk(*turns: str) -> Conversation:
    """Turns written as `role: text`."""
    return Conversation(tuple(Message.of(*turn.split(": ", 1)) for turn in turns))  # pyright: ignore


def add_run(connection: Connection, house: House, state: str, inputs: dict[str, Any]) -> None:
    """The run `run_1`, of which only its state and what it reads matter."""
    ids = {"project_id": house.project, "created": now_us()}
    connection.execute(job.insert().values(id="job_1", name="j", task="t", description="", **ids))
    connection.execute(
        run.insert().values(
            id="run_1",
            job_id="job_1",
            number=1,
            state=state,
            method="sft",
            base_model="b",
            resolved={},
            inputs=inputs,
            stages=[],
            progress={},
            **ids,
        )
    )
