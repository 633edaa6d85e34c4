"""The compiled part, built from _rows.c where there is a C compiler; `native.py` stands in where there is none.

Places are unsigned 32-bit numbers in the machine's order: of each row, where it starts and ends in `data`. What takes
long lets other threads run.
"""

from typing import Any

from typing_extensions import Buffer

VERSION: int
"""Of these functions."""

def read_behind(left: Buffer, file: int, offset: int, size: int) -> bytes:
    """`left`, and behind it at most `size` bytes that stand in a file at `offset`: none only at its end."""

def split_lines(data: Buffer) -> tuple[bytes, int, int]:
    """Places of the lines that aren't blank, without their line feeds; where the last, unfinished one starts; and how
    many lines stand before it."""

def split_elements(data: Buffer, at: int, longest: int) -> tuple[bytes, int, int]:
    """Places of objects in a list, from the one that starts at `at`; and where the first starts that isn't among them.

    Each of them has at most `longest` bytes, and a comma and another object follow it. The third number means nothing.
    """

def read_rows(
    plan: tuple[Any, ...], data: Buffer, places: Buffer, key: int
) -> tuple[bytes, bytes, bytes, int, int]:
    """The plain ones among these rows, by a plan of `quick.py`.

    Gives their canonical forms, each with a line feed; where each row's ends in them (a row that is left has the end
    of the row before); the hash of each, as `hash_rows` gives it; the characters of all; how many rows are left.
    """

def hash_rows(text: Buffer, ends: Buffer, key: int) -> bytes:
    """Of rows that end at these places, each with its line feed: signed 64 bits."""

def part_hashes(hashes: Buffer, parts: int) -> tuple[bytes, bytes]:
    """The same, those together that have the same remainder; and how many have each."""

def count_repeats(hashes: Buffer) -> int:
    """How many were there before."""

def full_frames(ends: Buffer, full: int, size: int) -> bytes:
    """The numbers of the rows that make a frame full: the first that ends at `full` or later, and so on `size` bytes
    after each."""
