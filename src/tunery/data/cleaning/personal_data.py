"""Masks personal data that has a form of its own: mail, phone, card, IBAN, IP address.

What has a check digit is checked, so an order number isn't taken for a card. Names and addresses have no form, and
aren't found.
"""

import ipaddress
import re
from collections.abc import Callable, Iterator
from typing import Literal

from pydantic import Field

from tunery.data.cleaning.point import Changed, Removed, Rows, Tools, Verdict
from tunery.data.row_text import with_text
from tunery.schemas.base import Schema

API_VERSION = 1
TITLE = "Personal data"
HELP = "Masks email addresses, phone numbers, payment cards, IBANs and IP addresses."
Kind = Literal["email", "phone", "card", "iban", "ip"]


class Settings(Schema):
    """What is looked for and what is done."""

    kinds: list[Kind] = Field(default=["email", "phone", "card", "iban", "ip"], min_length=1)
    """What to look for."""
    action: Literal["mask", "remove"] = "mask"
    """Replace it with [EMAIL], [PHONE] …, or remove the row."""


def datasets(settings: Settings) -> list[str]:
    """None."""
    return []


def clean(rows: Rows, settings: Settings, tools: Tools) -> Iterator[Verdict]:
    """Look through every text of each row. The report shows no more of what is found than its beginning."""
    chosen: list[Kind] = [kind for kind in _ORDER if kind in settings.kinds]
    for row in rows:
        found: set[Kind] = set()
        made = with_text(row, lambda text, found=found: _replaced(text, chosen, found, _name))
        if made is row:
            yield row
            continue
        why = f"it contains {', '.join(kind for kind in chosen if kind in found)}"
        shown = with_text(row, lambda text: _replaced(text, chosen, set(), _dots))
        yield Changed(made, why, shown) if settings.action == "mask" else Removed(why, shown=shown)


def _replaced(text: str, kinds: list[Kind], found: set[Kind], instead: Callable[[str, Kind], str]) -> str:
    for kind in kinds:
        if not _HINTS[kind](text):
            continue
        pattern, right = _LOOKED_FOR[kind]

        def replace(match: re.Match[str], kind: Kind = kind, right: Callable[[str], bool] = right) -> str:
            if not right(match[0]):
                return match[0]
            found.add(kind)
            return instead(match[0], kind)

        text = pattern.sub(replace, text)
    return text


def _name(text: str, kind: Kind) -> str:
    return f"[{kind.upper()}]"


def _dots(text: str, kind: Kind) -> str:
    return text[:2] + "•" * (len(text) - 2)


def _is_card(text: str) -> bool:
    """13 to 19 digits whose last is right (Luhn)."""
    digits = [int(sign) for sign in text if sign.isdigit()]
    if not 13 <= len(digits) <= 19 or len(set(digits)) == 1:
        return False
    doubled = [sum(divmod(2 * digit, 10)) for digit in digits[-2::-2]]
    return (sum(doubled) + sum(digits[-1::-2])) % 10 == 0


def _is_iban(text: str) -> bool:
    """Its check digits are right (mod 97)."""
    packed = re.sub(r"\s", "", text).upper()
    if not 15 <= len(packed) <= 34:
        return False
    moved = packed[4:] + packed[:4]
    return int("".join(str(int(sign, 36)) for sign in moved)) % 97 == 1


def _is_ip(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return "." in text or text.count(":") >= 3


def _is_phone(text: str) -> bool:
    """8 to 15 digits that are written as numbers to call are: with a + or a 0 before them, or as 555-123-4567."""
    digits = re.sub(r"\D", "", text)
    if not 8 <= len(digits) <= 15 or len(set(digits)) < 3 or _is_date(text) or re.fullmatch(r"0\.\d+", text):
        return False
    return text.startswith(("+", "0", "(")) or re.fullmatch(r"\d{3}[-. ]\d{3}[-. ]\d{4}", text) is not None


def _is_date(text: str) -> bool:
    return (
        re.fullmatch(r"(\d{4}[-./ ]\d{1,2}[-./ ]\d{1,2}|\d{1,2}[-./ ]\d{1,2}[-./ ]\d{4})", text) is not None
    )


_ORDER: tuple[Kind, ...] = ("email", "iban", "card", "ip", "phone")
"""What has a check comes first: a card isn't a phone."""
_DIGITS = re.compile(r"\d[ ()./-]{0,2}\d").search
_HINTS: dict[Kind, Callable[[str], object]] = {
    "email": lambda text: "@" in text,
    "iban": _DIGITS,
    "card": _DIGITS,
    "ip": re.compile(r"\d\.\d|:\w*:").search,
    "phone": _DIGITS,
}
"""What must be in a text for it to be worth a closer look: most texts hold nothing."""
_LOOKED_FOR: dict[Kind, tuple[re.Pattern[str], Callable[[str], bool]]] = {
    "email": (
        re.compile(r"(?<![\w.+-])[\w.+-]{1,64}@(?:[\w-]{1,63}\.){1,8}[^\W\d_]{2,24}(?![\w-])"),
        lambda _: True,
    ),
    "iban": (
        re.compile(r"(?<!\w)[A-Za-z]{2}\d{2}(?: ?[A-Za-z0-9]{4}){2,7}(?: ?[A-Za-z0-9]{1,3})?(?!\w)"),
        _is_iban,
    ),
    "card": (re.compile(r"(?<![\w.-])\d(?:[ -]?\d){12,18}(?![\w-])"), _is_card),
    "ip": (
        re.compile(r"(?<![\w:.])(?:\d{1,3}(?:\.\d{1,3}){3}|[0-9A-Fa-f:]{3,39}:[0-9A-Fa-f.:]{0,20})(?![\w:])"),
        _is_ip,
    ),
    "phone": (
        re.compile(
            r"(?<![\w.,+/-])(?<!\d[ -])(?:\+|\(\+?)?\d(?:[ ()./-]{0,2}\d){7,14}(?![ ()./-]{0,2}\d)(?![\w/])"
        ),
        _is_phone,
    ),
}
