"""Rows that a user fixed: kept beside their file, read instead of the file's own, tried before they are kept."""

from collections.abc import Sequence
from pathlib import Path

import orjson

from tunery.core.files import write_bytes
from tunery.data.formats.point import FORMATS
from tunery.data.names import FileNames
from tunery.data.record import parse
from tunery.data.rows import RowError
from tunery.schemas.dataset import RowFix


def read_fixed(path: Path) -> dict[tuple[str, int], bytes]:
    """By file and row; of several for one row, the last. None where there is no such file."""
    if not path.exists():
        return {}
    with path.open("rb") as lines:
        found = [orjson.loads(line) for line in lines]
    return {(row["file"], row["row"]): row["text"].encode() for row in found}


def add_fixed(path: Path, fixes: Sequence[RowFix]) -> None:
    """Keep more of them, or none."""
    before = path.read_bytes() if path.exists() else b""
    lines = [orjson.dumps(fix.model_dump()) + b"\n" for fix in fixes]
    write_bytes(path, before + b"".join(lines))


def try_row(text: str, format: str, names: FileNames) -> RowError | None:
    """Why a row still can't be used; None when it can."""
    value, error = parse(text.encode())
    if error is not None:
        return error
    try:
        FORMATS.load(format).read(names.rename(value))
    except RowError as refusal:
        return names.explain(refusal)
    return None
