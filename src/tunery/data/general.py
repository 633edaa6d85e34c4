"""The general corpus that ships with Tunery, as rows. Made from its seed where it is needed; nothing is stored."""

from collections.abc import Iterator, Sequence
from functools import cache

from tunery.data.content import content_hash
from tunery.data.rows import Conversation, Message, Row, Text, characters, encode_row
from tunery.schemas.check import RowKind
from tunery.starter import general

NAME = general.NAME
VERSION = 1
KINDS: tuple[RowKind, ...] = ("conversation", "text")
"""Kinds of rows that it has."""
FORMATS_OF: dict[RowKind, str] = {"conversation": "messages", "text": "corpus"}


class GeneralRows:
    """Its rows of one kind."""

    def __init__(self, rows: Sequence[Row]) -> None:
        self._lines = [encode_row(row) for row in rows]
        self.characters = sum(map(characters, rows))
        self.content_hash = content_hash(self._lines)

    def __len__(self) -> int:
        return len(self._lines)

    def lines(self) -> Iterator[bytes]:
        """All rows in canonical form."""
        return iter(self._lines)

    def pick(self, numbers: Sequence[int]) -> Iterator[bytes]:
        """The rows with these numbers, in this order."""
        return (self._lines[number] for number in numbers)


@cache
def shipped(kind: RowKind) -> GeneralRows:
    """The corpus as conversations or as plain text."""
    if kind == "text":
        return GeneralRows([Text(text) for text in general.texts()])
    assert kind == "conversation"
    return GeneralRows(
        [
            Conversation((Message.of("user", asked), Message.of("assistant", answered)))
            for asked, answered in general.exchanges()
        ]
    )
