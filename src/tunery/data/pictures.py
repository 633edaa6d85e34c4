"""Pictures as records name them: by a path or data: address in a field of the row, or in a typed part of a turn.

Where a text says `<image>`, the next picture of the row stands there. This module reads names and never bytes;
`attach.py` finds what they name.
"""

import base64
from collections.abc import Iterator
from typing import Any

from tunery.data.rows import Message, NamedImage, Part, RowError, TextPart

PLACEHOLDER = "<image>"
FIELDS = ("image_path", "image", "images")
"""Fields of a record that name pictures."""
ENDINGS = (
    ".png",
    ".jpg",
    ".jpeg",
    ".webp",
    ".gif",
    ".bmp",
    ".tif",
    ".tiff",
    ".svg",
    ".heic",
    ".avif",
    ".jfif",
)
"""What is a picture by its name, whether it can be read or not."""


def names_images(record: dict[str, Any]) -> str | None:
    """The field in which a record names pictures."""
    return next((name for name in FIELDS if record.get(name) not in (None, "", [])), None)


def is_picture(value: object) -> bool:
    """Whether what stands in a field names a picture, by its name or kind."""
    if isinstance(value, dict):
        return isinstance(value.get("bytes"), bytes) or is_picture(value.get("path"))
    # A value may be megabytes of a data: address; no copy is made of it.
    return isinstance(value, str) and (
        value.startswith("data:image/") or value[-5:].lower().endswith(ENDINGS)
    )


def images_in(fields: dict[str, Any]) -> list[NamedImage]:
    """The pictures a record names in fields of its own. Raises RowError."""
    name = names_images(fields)
    if name is None:
        return []
    others = [other for other in FIELDS if other != name and fields.get(other) not in (None, "", [])]
    if others:
        fix = f"Put the images into one field; the row has both `{name}` and `{others[0]}`."
        raise RowError("two_image_fields", fix, field=others[0])
    value = fields[name]
    if isinstance(value, list):
        return [_named(one, f"{name}[{number}]") for number, one in enumerate(value)]
    return [_named(value, name)]


def one_image(fields: dict[str, Any], names: tuple[str, ...]) -> NamedImage:
    """The one picture of a row. Raises RowError `field_missing`, `one_image`."""
    name = next((name for name in names if fields.get(name) not in (None, "", [])), None)
    if name is None:
        fix = f"Put the path of the row's image into `{names[0]}`."
        raise RowError("field_missing", fix, field=names[0], found=sorted(fields)[:20])
    value = fields[name]
    if isinstance(value, list):
        if len(value) != 1:
            fix = "Use one image per row; for more, use messages or ShareGPT with images."
            raise RowError("one_image", fix, field=name, found=f"{len(value)} images")
        value = value[0]
    return _named(value, name)


def refuse_images(fields: dict[str, Any]) -> None:
    """For formats of text alone: a row that names pictures would lose them. Raises RowError."""
    name = names_images(fields)
    if name is not None:
        fix = f"This format is text-only; choose one with images, or remove `{name}`."
        raise RowError("image_not_taken", fix, field=name, found=fields[name])


def named_in_part(part: dict[str, Any], field: str) -> NamedImage | None:
    """The picture of a typed part of a turn, however it is written; None where the part is none. Raises RowError."""
    kind = part.get("type")
    if kind not in ("image_url", "image", "input_image"):
        return None
    found = next((key for key in ("image_url", "image", "url", "path") if part.get(key) is not None), None)
    if found is None:
        return NamedImage("", field)
    value = part[found]
    if isinstance(value, dict) and "url" in value:
        return _named(value["url"], f"{field}.{found}.url")
    return _named(value, f"{field}.{found}")


def place_images(messages: tuple[Message, ...], images: list[NamedImage], field: str) -> tuple[Message, ...]:
    """Put a record's pictures where its turns have a place for them; before the first question where none has.

    Raises RowError `image_placeholders` where places and pictures aren't equally many.
    """
    empty = sum(_is_empty(part) for message in messages for part in message.content)
    if not images and not empty:
        return messages
    spelled = 0 if empty else sum(m.text.count(PLACEHOLDER) for m in messages if m.role == "user")
    if empty + spelled == 0:
        first = next(number for number, message in enumerate(messages) if message.role == "user")
        asked = Message("user", (*images, *messages[first].content))
        return (*messages[:first], asked, *messages[first + 1 :])
    if empty + spelled != len(images):
        fix = f"Write {PLACEHOLDER} once for each image of the row, or leave it out to put the images first."
        found = f"{empty + spelled} places, {len(images)} images"
        raise RowError("image_placeholders", fix, field=field, found=found)
    left = iter(images)
    return tuple(
        Message(message.role, tuple(_filled(message.content, left, split=not empty)))
        if message.role == "user"
        else message
        for message in messages
    )


def _filled(content: tuple[Part, ...], images: Iterator[NamedImage], *, split: bool) -> Iterator[Part]:
    for part in content:
        if _is_empty(part):
            yield next(images)
        elif split and isinstance(part, TextPart) and PLACEHOLDER in part.text:
            for number, text in enumerate(part.text.split(PLACEHOLDER)):
                if number:
                    yield next(images)
                if text:
                    yield TextPart(text)
        else:
            yield part


def _is_empty(part: Part) -> bool:
    return isinstance(part, NamedImage) and not part.name


def _named(value: object, field: str) -> NamedImage:
    """A path, an address, or what Parquet files of pictures hold: `{bytes, path}`. Raises RowError."""
    if isinstance(value, dict):
        held = value.get("bytes")
        value = _data(held) if isinstance(held, bytes) and held else value.get("path")
    elif isinstance(value, bytes):
        value = _data(value)
    if not isinstance(value, str) or not value.strip():
        fix = "Give the image's path in the archive, or a data: URL."
        raise RowError("not_an_image_name", fix, field=field, found=value)
    return NamedImage(value.strip(), field)


def _data(content: bytes) -> str:
    return "data:;base64," + base64.b64encode(content).decode()
