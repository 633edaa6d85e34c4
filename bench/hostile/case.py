"""What a hostile file is, how it is made, and the outcome that is named for it."""

import io
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

MB = 1 << 20
ROW = b'{"text": "fine"}\n'


@dataclass(frozen=True)
class Refused:
    """The whole file, in these words."""

    words: str
    code: str = "file_unreadable"


@dataclass(frozen=True)
class Bad:
    """Some rows, by these rules."""

    accepted: int
    rules: dict[str, int]


@dataclass(frozen=True)
class Clean:
    """Nothing."""

    accepted: int
    rules: dict[str, int] = field(default_factory=dict)


Outcome = Refused | Bad | Clean


@dataclass(frozen=True)
class Case:
    """One file."""

    number: int
    """In the list of failure cases; 0 for clean files."""
    title: str
    name: str
    make: Callable[[Path], object]
    outcome: Outcome


def written(content: bytes) -> Callable[[Path], object]:
    return lambda path: path.write_bytes(content)


def zipped(*entries: tuple[str | zipfile.ZipInfo, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in entries:
            archive.writestr(name, content, zipfile.ZIP_DEFLATED)
    return out.getvalue()


def around(bad: bytes, good: bytes = ROW) -> bytes:
    """A bad row between good ones."""
    return good * 3 + bad + b"\n" + good * 3
