"""A row of a dataset as lines for people."""

from typing import Any

from tunery.cli.output import clean, say


def show_row(index: int, row: dict[str, Any]) -> None:
    """Its turns, answers, label or text, each with the row's number before it."""
    if row.get("kind") == "text":
        say(f"{index}  {row['text']}")
        return
    if row.get("kind") == "captioned":
        say(f"{index}  {_image(row['image'])} {clean(row['caption'])}")
        return
    for message in row.get("messages", []):
        say(f"{index}  {message['role']}: {_text(message)}")
    for place, found in enumerate(row.get("answers", []), start=1):
        say(f"{index}  answer {place}: {_text(found)}")
    if "label" in row:
        say(f"{index}  the answer is {'wanted' if row['label'] else 'not wanted'}")


def _text(message: dict[str, Any]) -> str:
    return clean(
        "".join(part["text"] if part["type"] == "text" else _image(part) for part in message["content"])
    )


def _image(part: dict[str, Any]) -> str:
    return f"[{part['media_type']} {part['width']} × {part['height']} {part['digest']}]"
