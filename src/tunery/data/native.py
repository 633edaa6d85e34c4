"""The compiled part of reading rows, and what stands in where it wasn't built. Both give the same, at another speed."""

import secrets
from array import array
from types import ModuleType
from typing import TypeAlias

from tunery.data.content import Lines

COMPILED: ModuleType | None
"""None where Tunery was installed without a C compiler."""
try:
    from tunery.data import _rows

    COMPILED = _rows
except ImportError:
    COMPILED = None

KEY = secrets.randbits(64)
"""Of row hashes: new in every process, so nobody can make rows that collide."""

Places: TypeAlias = "array[int] | memoryview"
"""Of each row, where it starts and where it ends in some bytes."""


def split_lines(data: bytes) -> tuple[Places, int, int]:
    """Places of the lines that aren't blank, without their line feeds; where the last, unfinished one starts; and how
    many lines stand before it."""
    if COMPILED is not None:
        places, end, count = COMPILED.split_lines(data)
        return memoryview(places).cast("I"), end, count
    found = array("I")
    start = 0
    lines = data.split(b"\n")
    for line in lines[:-1]:
        end = start + len(line)
        if line and not line.isspace():
            found.extend((start, end))
        start = end + 1
    return found, start, len(lines) - 1


def split_elements(data: bytes, at: int, longest: int) -> tuple[Places, int]:
    """Places of some objects in a list, from the one that starts at `at`; and where the next object starts.

    Each has at most `longest` bytes. What isn't plain is left to a careful splitter, and so is all without C.
    """
    if COMPILED is None:
        return array("I"), at
    places, end, _ = COMPILED.split_elements(data, at, longest)
    return memoryview(places).cast("I"), end


def hash_rows(lines: Lines) -> bytes:
    """64 bits for each row. Of this process: never to be kept."""
    if COMPILED is not None:
        return COMPILED.hash_rows(lines.text, lines.ends, KEY)
    return array("q", map(hash, lines)).tobytes()
