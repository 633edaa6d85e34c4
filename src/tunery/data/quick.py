"""The short way from a row's bytes to its canonical form, for rows that are plainly right; compiled code goes it.

A format says in a `Quick` what its plain rows look like. What the short way can't vouch for (an escaped or repeated
key, an odd number, another type, white space for content) it leaves to the careful way, so that a row's outcome never
depends on which way it went. It refuses nothing itself.
"""

from collections.abc import Iterable, Mapping
from typing import Literal, NamedTuple, get_args

from tunery.data import native
from tunery.data.block import Block
from tunery.data.rows import Conversation, Labelled, Message, Preference, Role, Text, encode_row
from tunery.data.turns import FIRST, FOLLOWS

Slot = Literal[
    "text",
    "turns",
    "system",
    "ask",
    "prompt",
    "more",
    "answer",
    "chosen",
    "rejected",
    "label",
    "empty",
    "never",
]
"""What a field of a plain row holds: the text; the turns; the system turn, or null; a question; a question that nothing
else belongs to; what belongs to the question, below it, or null; its answer; the better and the worse answer (text, a
turn, a list of one, or two whole talks that differ in their last turn); true or false; nothing (null, [] or "");
anything, and then the row isn't plain."""
_SLOTS: tuple[Slot, ...] = get_args(Slot)
_ROLES: tuple[Role, ...] = get_args(Role)
_MARK = "§"
"""Stands for content where the spelling of the canonical form is looked up."""


class Quick(NamedTuple):
    """What a format says of its plain rows."""

    fields: Mapping[str, Slot]
    """Whatever the format reads must be named. Other fields may hold anything."""
    spellings: tuple[tuple[str, str], ...] = ()
    """The two keys of a turn, who speaks and what, as it may spell them."""
    roles: Mapping[str, Role] = {}
    """How a turn may spell who speaks."""


class Taken(NamedTuple):
    """Rows that went the short way."""

    text: bytes
    """Their canonical forms, each with a line feed."""
    ends: memoryview
    """Where each row's form ends in `text`; a row that is left ends where the one before it does."""
    hashes: bytes
    """As `native.hash_rows` gives them; of rows that are left they mean nothing."""
    characters: int
    left: int
    """So many rows must be read carefully."""


class QuickReader:
    """Reads blocks of rows of one format."""

    def __init__(self, quick: Quick) -> None:
        self._plan = _plan(quick)

    def read(self, block: Block) -> Taken:
        """The plain rows of a block."""
        assert native.COMPILED is not None
        text, ends, hashes, characters, left = native.COMPILED.read_rows(
            self._plan, block.data, block.places, native.KEY
        )
        return Taken(text, memoryview(ends).cast("I"), hashes, characters, left)


def quick_reader(quick: Quick | None) -> QuickReader | None:
    """None where the format has no short way, or compiled code is missing."""
    return QuickReader(quick) if quick is not None and native.COMPILED is not None else None


def _plan(quick: Quick) -> tuple[object, ...]:
    """What the compiled code is told: which fields and turns to read, and how the canonical form spells them."""
    spelled = _text_form() if "text" in quick.fields.values() else _turns_form(quick)
    return (
        tuple((name.encode(), _SLOTS.index(slot)) for name, slot in quick.fields.items()),
        tuple(tuple(key.encode() for key in keys) for keys in quick.spellings),
        tuple((spelled.encode(), _ROLES.index(role)) for spelled, role in quick.roles.items()),
        *spelled,
        _bits(FIRST),
        tuple(_bits(FOLLOWS[role]) for role in _ROLES),
        *(_ROLES.index(role) for role in ("system", "user", "assistant")),
    )


def _text_form() -> tuple[object, ...]:
    head, tail = encode_row(Text(_MARK)).split(_MARK.encode())
    return head, tail, b"", b"", (b"",) * len(_ROLES), b"", b""


def _turns_form(quick: Quick) -> tuple[object, ...]:
    """What stands before and after the turns of a row, after them where its label is true, between them and two
    answers; before the content of a turn by its role, after it, and between turns."""

    def spelled(*roles: Role) -> list[bytes]:
        row = Conversation(tuple(Message.of(role, _MARK) for role in roles))
        return encode_row(row).split(_MARK.encode())

    head, tail = encode_row(Conversation(())).split(b"[]")
    head, tail = head + b"[", b"]" + tail
    around = _around(set(quick.fields.values())) or (head, tail, b"", b"")
    openings = tuple(spelled(role)[0].removeprefix(head) for role in _ROLES)
    closing = spelled("user")[1].removesuffix(tail)
    between = spelled("user", "user")[1].removeprefix(closing).removesuffix(openings[_ROLES.index("user")])
    return *around, openings, closing, between


def _around(slots: set[Slot]) -> tuple[bytes, ...] | None:
    """What stands around the turns of a row that is more than a conversation."""
    if "label" in slots:
        head, tail = encode_row(Labelled((), False)).split(b"[]")
        return head + b"[", b"]" + tail, b"]" + encode_row(Labelled((), True)).split(b"[]")[1], b""
    if "chosen" in slots:
        head, middle, tail = encode_row(Preference((), ())).split(b"[]")
        return head + b"[", b"]" + tail, b"", b"]" + middle + b"["
    return None


def _bits(roles: Iterable[str]) -> int:
    return sum(1 << _ROLES.index(role) for role in _ROLES if role in roles)
