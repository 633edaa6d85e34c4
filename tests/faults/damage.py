"""Noise in place of a page of the database, for a while."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.faults.scene import Scene

_WRITE = """
import sys
file = open(sys.argv[1], "r+b")
for piece in sys.argv[2:]:
    offset, content = piece.split(":")
    file.seek(int(offset))
    file.write(bytes.fromhex(content))
"""


def write_at(path: Path, contents: dict[int, bytes]) -> None:
    """By a process of its own: one that closes a database's file gives up its own locks on it."""
    pieces = [f"{offset}:{content.hex()}" for offset, content in contents.items()]
    subprocess.run([sys.executable, "-c", _WRITE, path, *pieces], check=True)


@contextmanager
def damaged(scene: Scene, table: str) -> Iterator[None]:
    """The first page of a table and of each of its indexes is noise, for a while."""
    with scene.database() as database:
        # Everything into the file itself, so that no copy of a page is read from beside it.
        while database.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]:
            pass
        (size,) = database.execute("PRAGMA page_size").fetchone()
        pages = database.execute("SELECT rootpage FROM sqlite_master WHERE tbl_name = ?", (table,)).fetchall()
    path, sound = scene.data / "tunery.db", dict[int, bytes]()
    with path.open("rb") as file:
        for (page,) in pages:
            file.seek((page - 1) * size)
            sound[(page - 1) * size] = file.read(size)
    write_at(path, {offset: os.urandom(size) for offset in sound})
    try:
        yield
    finally:
        write_at(path, sound)
