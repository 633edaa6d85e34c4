"""What a row asks, in a form that can be compared: without capitals, signs of no meaning and runs of spaces.

Two questions are near when they share most of their pieces of five characters. It knows nothing of datasets.
"""

import unicodedata
from collections.abc import Sequence
from hashlib import blake2b
from typing import Any

from rensa import RMinHash  # pyright: ignore[reportAttributeAccessIssue] - compiled, without stubs

from tunery.data.rows import Captioned, Row, Text, messages_of

PERMUTATIONS = 128
BANDS = 16
_PIECE = 5
_LONGEST = 20_000
"""Characters of a text that are looked at for likeness."""


def question_of(row: Row) -> str:
    """What stands before the answers: what users say; of plain text, all of it."""
    if isinstance(row, Text | Captioned):
        return text_of(row)
    return "\n".join(message.text for message in row.messages if message.role == "user")


def text_of(row: Row) -> str:
    """Everything that is said in a row."""
    if isinstance(row, Text):
        return row.text
    if isinstance(row, Captioned):
        return row.caption
    return "\n".join(message.text for message in messages_of(row))


def plain(text: str) -> str:
    """The text without capitals and runs of spaces, in one Unicode form."""
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())


def digest(text: str) -> bytes:
    """128 bits that tell a text from others."""
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest()


def pieces(text: str) -> set[str]:
    """Every five characters in a row."""
    text = text[:_LONGEST]
    return {text[at : at + _PIECE] for at in range(max(1, len(text) - _PIECE + 1))}


def sketch(found: set[str]) -> Any:
    """A MinHash of pieces; the same pieces give the same one."""
    made = RMinHash(num_perm=PERMUTATIONS, seed=1)
    made.update(sorted(found))
    return made


def bands(signature: Sequence[int]) -> list[int]:
    """One number for each band of a signature: near texts share at least one, most of the time."""
    width = PERMUTATIONS // BANDS
    return [hash((band, *signature[band * width : (band + 1) * width])) for band in range(BANDS)]


def likeness(one: set[str], other: set[str]) -> float:
    """Share of their pieces that both have (Jaccard)."""
    return len(one & other) / max(1, len(one | other))
