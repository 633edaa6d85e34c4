"""The short way from a row's bytes to its canonical form, for rows that are plainly right.

msgspec reads the bytes straight into the fields that the format names; no dict is made. What the short way can't
vouch for (another field, another type, a repeated key, an escaped NUL) it leaves to the careful way, so that a row's
outcome never depends on which way it went. It refuses nothing itself.

A repeated key shows in the quotation marks: a row without one has two around each key and each text, and those
inside its texts, which its canonical form has as well. More than these is one key too many.
"""

from collections.abc import Callable, Sequence
from typing import Annotated, Any, NamedTuple

import msgspec

from tunery.data.rows import Conversation, Row, RowError, Text, characters, encode_row

_Simple = str | bool | float | None | Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]
"""Types of the fields that no format reads and that rows may have: ids, sources, scores."""
_MOST_EXTRAS = 32
_LEFT = (msgspec.MsgspecError, UnicodeDecodeError, RowError, KeyError)


class Quick(NamedTuple):
    """What a format says of its plain rows."""

    needed: dict[str, Any]
    """Fields and their types, all made of `str`."""
    optional: dict[str, Any]
    """Fields that may be absent, or else hold this. Whatever the format reads must be named."""
    build: Callable[[Any], tuple[Row, int]]
    """From an object with these fields (UNSET where absent): the row, and how many quotation marks stand around
    the record's keys and texts. Raises RowError or KeyError where the careful way must look."""


def marks(*values: object) -> int:
    """Quotation marks around optional fields, their names among them."""
    return sum(0 if value is msgspec.UNSET else 4 if type(value) is str else 2 for value in values)


class QuickReader:
    """Reads rows of one format. `sample`: records of the file, whose further simple fields are let pass."""

    def __init__(self, quick: Quick, sample: Sequence[object]) -> None:
        known = {**quick.needed, **quick.optional}
        extras = _simple_extras(sample, known)
        optional = [(name, kind | msgspec.UnsetType, msgspec.UNSET) for name, kind in quick.optional.items()]
        further = [(name, _Simple | msgspec.UnsetType, msgspec.UNSET) for name in extras]
        record = msgspec.defstruct(
            "Record",
            [*quick.needed.items(), *optional, *further],
            rename=extras,
            forbid_unknown_fields=True,
            gc=False,
        )
        self._decode = msgspec.json.Decoder(record).decode
        self._build = quick.build
        self._extras = list(extras)

    def read(self, raws: list[bytes]) -> tuple[list[bytes | None], list[int]]:
        """Canonical forms and the characters of each; None and 0 for a row to be read carefully."""
        lines: list[bytes | None] = []
        sizes: list[int] = []
        for raw in raws:
            line, size = self._read(raw)
            lines.append(line)
            sizes.append(size)
        return lines, sizes

    def _read(self, raw: bytes) -> tuple[bytes | None, int]:
        if b"\\u00" in raw and (b"\\u0000" in raw or b"\\u0022" in raw):
            return None, 0
        try:
            record = self._decode(raw)
            row, expected = self._build(record)
        except _LEFT:
            return None, 0
        line = encode_row(row)
        expected += line.count(b'"') - _own_marks(row)
        for name in self._extras:
            value = getattr(record, name)
            expected += marks(value) + (value.count('"') if type(value) is str else 0)
        if raw.count(b'"') != expected:
            return None, 0
        return line, characters(row)


def _simple_extras(sample: Sequence[object], known: dict[str, Any]) -> dict[str, str]:
    """Names for the fields of the sample that the format doesn't know and that hold simple values only."""
    found: dict[str, bool] = {}
    for record in sample:
        if isinstance(record, dict):
            for key, value in record.items():
                simple = value is None or isinstance(value, str | bool | int | float)
                found[key] = found.get(key, True) and simple
    keys = [key for key, simple in found.items() if simple and key not in known]
    return {f"extra_{number}": key for number, key in enumerate(keys[:_MOST_EXTRAS])}


def _own_marks(row: Row) -> int:
    """Quotation marks in a row's canonical form that don't belong to its texts."""
    if type(row) is Conversation:
        assert not row.tools
        return 6 + 14 * len(row.messages)
    assert type(row) is Text
    return 8
