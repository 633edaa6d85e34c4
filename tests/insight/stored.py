"""Rows in a store, without server or database."""

from collections.abc import Sequence
from pathlib import Path

from tunery.blobs.point import BLOBS, BlobStore
from tunery.data.rows import Conversation, Message, Row, characters, encode_row
from tunery.data.store import VersionReader, VersionWriter
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
