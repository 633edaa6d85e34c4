"""The canonical row: one tagged union that every format translates into and everything later reads.

Content is a list of typed parts, so that images and tool calls join without changing what exists. Rows are trees
of text that can't refer to themselves, so the garbage collector need not look at them (`gc=False`): with it, a
million rows take several times as long to make.
"""

from typing import Literal

import msgspec

from tunery.schemas.check import RowKind

Role = Literal["system", "user", "assistant", "tool"]
MediaType = Literal["image/png", "image/jpeg", "image/webp"]


class _Part(msgspec.Struct, tag_field="type", frozen=True, gc=False):
    """What all parts of a turn have in common."""


class _Row(
    msgspec.Struct, tag_field="kind", frozen=True, forbid_unknown_fields=True, omit_defaults=True, gc=False
):
    """What all rows have in common."""


class TextPart(_Part, tag="text", frozen=True):
    """Words."""

    text: str


class ImagePart(_Part, tag="image", frozen=True):
    """A picture; its bytes are a blob of the version. Width and height are those of the upright picture."""

    digest: str
    """SHA-256 of the bytes."""
    media_type: MediaType
    width: int
    height: int


class NamedImage(_Part, tag="named_image", frozen=True):
    """A picture as a record names it. What a format writes; the check puts the ImagePart in its place."""

    name: str
    """A path inside the archive, or a data: address. Empty: the next of those the record lists elsewhere."""
    field: str
    """Where the record names it."""


Part = TextPart | ImagePart | NamedImage


class Message(msgspec.Struct, frozen=True, forbid_unknown_fields=True, gc=False):
    """One turn."""

    role: Role
    content: tuple[Part, ...]

    @property
    def text(self) -> str:
        """All words of the turn."""
        return "".join([part.text for part in self.content if type(part) is TextPart])

    @classmethod
    def of(cls, role: Role, text: str) -> "Message":
        return cls(role, (TextPart(text),))


class Conversation(_Row, tag="conversation", frozen=True):
    """Turns in order; holds at least one assistant turn."""

    messages: tuple[Message, ...]
    tools: str = ""
    """JSON list of the tools the chat template is to be told of; empty = none."""


class Preference(_Row, tag="preference", frozen=True):
    """Turns up to a question, and answers to it from the best to the worst; two or more."""

    messages: tuple[Message, ...]
    answers: tuple[Message, ...]
    tools: str = ""

    @property
    def chosen(self) -> Message:
        """The best answer."""
        return self.answers[0]

    @property
    def rejected(self) -> Message:
        """The worst answer."""
        return self.answers[-1]


class Labelled(_Row, tag="labelled", frozen=True):
    """A conversation that ends with an answer, and whether that answer is wanted."""

    messages: tuple[Message, ...]
    label: bool
    tools: str = ""


class Text(_Row, tag="text", frozen=True):
    """Plain text."""

    text: str


class Captioned(_Row, tag="captioned", frozen=True):
    """A picture and the words for it."""

    image: ImagePart | NamedImage
    caption: str


Row = Conversation | Preference | Labelled | Text | Captioned

ROW_TYPES: dict[RowKind, type[Row]] = {
    "conversation": Conversation, "preference": Preference, "labelled": Labelled, "text": Text,
    "captioned": Captioned,
}  # fmt: skip

_ENCODER = msgspec.json.Encoder()
_DECODER: msgspec.json.Decoder[Row] = msgspec.json.Decoder(Row)

encode_row = _ENCODER.encode
"""Row -> bytes: the one byte form of a row; equal rows give equal bytes."""


def decode_row(line: bytes) -> Row:
    """Read what `encode_row` wrote. Raises msgspec.ValidationError on anything else."""
    return _DECODER.decode(line)


def characters(row: Row) -> int:
    """Characters of content, the unit in which data is mixed and charged."""
    if type(row) is Text:
        return len(row.text)
    return sum(
        [len(part.text) for message in messages_of(row) for part in message.content if type(part) is TextPart]
    ) + (len(row.caption) if type(row) is Captioned else 0)


def messages_of(row: Row) -> tuple[Message, ...]:
    """All turns of a row, the answers of a preference among them."""
    if isinstance(row, Text | Captioned):
        return ()
    return row.messages + row.answers if isinstance(row, Preference) else row.messages


def images_of(row: Row) -> list[ImagePart]:
    """The pictures in a row, in order."""
    if isinstance(row, Captioned):
        return [row.image] if isinstance(row.image, ImagePart) else []
    return [part for message in messages_of(row) for part in message.content if type(part) is ImagePart]


class RowError(Exception):
    """A record can't become a row. Says which field, which rule, and how to fix it."""

    def __init__(self, rule: str, fix: str, *, field: str | None = None, found: object = None) -> None:
        super().__init__(rule)
        self.rule = rule
        self.fix = fix
        self.field = field
        self.found = found
