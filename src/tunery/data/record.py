"""The bytes of one record -> its value, or the named rule that it breaks.

orjson reads what is right; what it refuses is looked at a second time, slowly, to say why. orjson lets a
repeated key win silently, so keys are counted as well.
"""

import json
import re
from typing import Any

import orjson

from tunery.data.rows import RowError

MAX_RECORD_BYTES = 41 << 20
"""What is held of one row is a few times this, and all together must stay below 300 MB."""

_STRING = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"', re.DOTALL)
_SPACED_COLON = re.compile(rb'"\s+:')
_NOT_A_NUMBER = re.compile("NaN|Infinity")
_CONTROL = re.compile(r"[\x00-\x1f]")


def parse(raw: bytes) -> tuple[object, RowError | None]:
    """The record's value, or why there is none."""
    try:
        value = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        return None, _diagnose(raw, error)
    keys = count_keys(value)
    # As many colons as keys: none is repeated. Else content holds colons too; then as many `":` as keys and no
    # space before a colon says the same. Only what passes neither must be taken apart to know.
    if raw.count(b":") != keys and (raw.count(b'":') != keys or _SPACED_COLON.search(raw)):
        written = _STRING.sub(b"", raw).count(b":")
        if written != keys:
            return None, _repeated_key(raw)
    if b"\\u0000" in raw and (error := check_value(value, raw)):
        return None, error
    return value, None


def check_value(value: object, raw: bytes) -> RowError | None:
    """What is wrong with a value whose bytes were right, whatever they were."""
    if _holds_nul(value):
        return RowError("nul_character", "Remove the character \\u0000; no text needs it.", found=_cut(raw))
    return None


def parse_text(raw: bytes) -> tuple[object, RowError | None]:
    """A plain text file's bytes as a record with the field text, or why they aren't text."""
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as bad:
        return None, not_utf8(raw, bad, "file")
    if "\0" in text:
        return None, RowError("nul_character", "Remove the NUL bytes; this may not be a text file.")
    return {"text": text}, None


def too_long(size: int, longest: int) -> RowError:
    """The refusal of a record that isn't even held in memory."""
    return RowError("row_too_long", f"Split the row; it has {size} bytes, and {longest} is the limit.")


def not_utf8(raw: bytes, bad: UnicodeDecodeError, noun: str) -> RowError:
    """The refusal of bytes that aren't text."""
    fix = f"Save the file as UTF-8; byte {bad.start} of the {noun} isn't."
    return RowError("invalid_utf8", fix, found=_cut(raw[max(0, bad.start - 40) : bad.start + 40]))


def count_keys(value: object) -> int:
    """How many keys all objects in a value have together."""
    if type(value) is dict:
        total = len(value)
        for item in value.values():
            if type(item) is dict or type(item) is list:
                total += count_keys(item)
        return total
    if type(value) is list:
        total = 0
        for item in value:
            if type(item) is dict:
                total += len(item)
                for inner in item.values():
                    if type(inner) is dict or type(inner) is list:
                        total += count_keys(inner)
            elif type(item) is list:
                total += count_keys(item)
        return total
    return 0


def _holds_nul(value: object) -> bool:
    if isinstance(value, str):
        return "\0" in value
    if isinstance(value, dict):
        return any(_holds_nul(key) or _holds_nul(item) for key, item in value.items())
    return isinstance(value, list) and any(_holds_nul(item) for item in value)


def _repeated_key(raw: bytes) -> RowError:
    repeated: list[str] = []

    def note(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        seen: set[str] = set()
        for key, _ in pairs:
            if key in seen:
                repeated.append(key)
            seen.add(key)
        return {}

    json.loads(raw, object_pairs_hook=note)
    return RowError(
        "duplicate_key", "Keep one of the fields with this name.", field=repeated[0], found=repeated[0]
    )


def _diagnose(raw: bytes, error: orjson.JSONDecodeError) -> RowError:
    """Why orjson refused: the first rule that fits."""
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as bad:
        return not_utf8(raw, bad, "row")
    if "depth limit" in error.msg:
        return RowError("nesting_too_deep", "Flatten the row; 1024 levels is the limit.", found=text[:80])
    near = text[max(0, error.pos - 40) : error.pos + 40]
    if "surrogate" in error.msg:
        fix = "Remove or complete the escape: \\ud800 … \\udfff only occur in pairs."
        return RowError("lone_surrogate", fix, found=near)
    if "control character" in error.msg:
        character = _CONTROL.search(text, max(0, error.pos - 1))
        rule = "nul_character" if character and character[0] == "\0" else "control_character"
        fix = (
            "Remove the character."
            if rule == "nul_character"
            else "Escape it: line breaks are \\n, tabs \\t."
        )
        return RowError(rule, fix, found=near)
    if _NOT_A_NUMBER.match(text, error.pos) or text.startswith("-Infinity", max(0, error.pos - 1)):
        return RowError("not_a_number", "Write null, or a number; JSON has no NaN or Infinity.", found=near)
    fix = f"Correct the JSON at character {error.pos + 1} of the row: {error.msg}."
    return RowError("invalid_json", fix, found=near)


def _cut(raw: bytes) -> str:
    return raw[:200].decode("utf-8", errors="replace")
