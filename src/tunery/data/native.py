"""The compiled part of reading rows, and what stands in where it wasn't built. Both give the same, at another speed."""

import os
import secrets
from array import array
from bisect import bisect_left
from collections.abc import Sequence
from types import ModuleType
from typing import TypeAlias

from tunery.data.content import Ends, Lines

_VERSION = 4
COMPILED: ModuleType | None
"""None where Tunery was installed without a C compiler, or wasn't installed again after its code changed."""
try:
    from tunery.data import _rows

    COMPILED = _rows if getattr(_rows, "VERSION", 1) == _VERSION else None
except ImportError:
    COMPILED = None

KEY = secrets.randbits(64)
"""Of row hashes: new in every process, so nobody can make rows that collide."""

Places: TypeAlias = "array[int] | memoryview"
"""Of each row, where it starts and where it ends in some bytes."""


def read_behind(left: bytes, file: int, offset: int, size: int) -> bytes:
    """`left`, and behind it at most `size` bytes that stand in a file at `offset`: none only at its end.

    Raises OSError.
    """
    if COMPILED is not None:
        return COMPILED.read_behind(left, file, offset, size)
    return left + os.pread(file, size, offset)


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


def part_hashes(hashes: bytes | bytearray, parts: int) -> tuple[bytes, "array[int]"]:
    """The same hashes, those together that have the same remainder; and how many have each."""
    if COMPILED is not None:
        parted, sizes = COMPILED.part_hashes(hashes, parts)
        return parted, array("I", sizes)
    split = [array("Q") for _ in range(parts)]
    for value in memoryview(hashes).cast("Q"):
        split[value % parts].append(value)
    return b"".join(split), array("I", map(len, split))


def count_repeats(hashes: bytes | bytearray) -> int:
    """How many of the hashes were there before."""
    if COMPILED is not None:
        return COMPILED.count_repeats(hashes)
    held = memoryview(hashes).cast("Q")
    return len(held) - len(set(held))


def full_frames(ends: Ends, full: int, size: int) -> Sequence[int]:
    """The numbers of the rows that make a frame full: the first that ends at `full` or later, and so on `size` bytes
    after each."""
    if COMPILED is not None:
        return memoryview(COMPILED.full_frames(ends, full, size)).cast("I")
    found: list[int] = []
    while (number := bisect_left(ends, full, found[-1] + 1 if found else 0)) < len(ends):
        found.append(number)
        full = ends[number] + size
    return found
