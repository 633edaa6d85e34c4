"""Jinja for the console: always escaping, strict about names, every text through `_()`."""

import gettext
from functools import cache
from pathlib import Path
from typing import Any

import orjson
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from tunery.schemas.words import shown
from tunery.web import words
from tunery.web.assets import asset

_ESCAPES = {
    ord("<"): "\\u003c",
    ord(">"): "\\u003e",
    ord("&"): "\\u0026",
    0x2028: "\\u2028",
    0x2029: "\\u2029",
}


def data(value: Any) -> Markup:
    """A value for a `<script type="application/json">` block; it can't end the block."""
    return Markup(orjson.dumps(value).decode().translate(_ESCAPES))


@cache
def environment() -> Environment:
    """The one environment of the console."""
    made = Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        extensions=["jinja2.ext.i18n"],
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.install_gettext_translations(gettext.NullTranslations(), newstyle=True)  # pyright: ignore[reportAttributeAccessIssue]
    made.globals["asset"] = asset
    made.filters["data"] = data
    for name in (
        "count",
        "short",
        "size",
        "duration",
        "between",
        "ago",
        "iso",
        "clock",
        "hms",
        "number",
        "measured",
        "changed",
        "worked",
        "worked_all",
        "coded",
        "parameters",
        "model_address",
        "dataset_address",
        "breakable",
        "marked",
    ):
        made.filters[name] = getattr(words, name)
    made.filters["named"] = words.title
    made.filters["setting"] = shown
    return made
