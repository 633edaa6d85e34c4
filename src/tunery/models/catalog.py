"""The catalog of base models: facts shipped with the package. Which of them lie on this machine isn't known here."""

from functools import cache
from pathlib import Path
from typing import Any

import orjson

from tunery.schemas.model import BaseModelEntry

_FILE = Path(__file__).with_name("catalog.json")
_REMOTE_CODE = {
    "ChatGLM": "Its code exists only as remote code, which Tunery never runs. Its native successor is GLM-4.",
    "Baichuan": "Its code exists only as remote code, which Tunery never runs. Choose Qwen2 or Llama instead.",
}
"""By what the architecture's name begins with: families that are listed, and refused with this reason."""


@cache
def entries() -> tuple[BaseModelEntry, ...]:
    """Every entry; none is on this machine until someone adds its folder."""
    return tuple(_entry(raw) for raw in orjson.loads(_FILE.read_bytes()))


def _entry(raw: dict[str, Any]) -> BaseModelEntry:
    refused = next(
        (why for prefix, why in _REMOTE_CODE.items() if raw["architecture"].startswith(prefix)), None
    )
    return BaseModelEntry(
        name=raw["name"],
        family=raw["architecture"],
        architecture=raw["architecture"],
        task=raw["task"],
        parameters_b=raw["parameters_b"],
        context=None,
        methods=[] if refused else raw["methods"],
        licence=raw["licence_note"],
        repo=raw["stand_in"] or raw["repo"],
        available=False,
        note=refused or raw["note"],
    )
