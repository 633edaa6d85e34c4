"""Base models that people ask for by name: facts from catalog.json, weights not included.

Which of them lie on this machine is not known here.
"""

from functools import cache
from importlib.resources import files
from typing import Any

import orjson

from tunery.schemas.model import BaseModelEntry

_NATIVE_SUCCESSOR = {
    "chatglm": "GLM-4 (architecture GlmForCausalLM)",
    "baichuan": "Qwen2 (architecture Qwen2ForCausalLM)",
}
"""What to take instead of families whose code is not in transformers."""


@cache
def entries() -> list[BaseModelEntry]:
    """Every entry, in the catalog's order. None is available before someone adds its folder."""
    facts = orjson.loads(files("tunery.models").joinpath("catalog.json").read_bytes())
    return [_entry(fact) for fact in facts]


def entry(name: str) -> BaseModelEntry | None:
    """The entry of that name or hub repository."""
    return next((found for found in entries() if name in (found.name, found.repo)), None)


def _entry(fact: dict[str, Any]) -> BaseModelEntry:
    return BaseModelEntry(
        name=fact["name"],
        family=fact["family"],
        architecture=fact["architecture"],
        task=fact["task"],
        parameters_b=fact["parameters_b"],
        context=None,
        methods=fact["methods"],
        licence=fact["licence"],
        repo=fact["repo"],
        available=False,
        note=_note(fact),
    )


def _note(fact: dict[str, Any]) -> str | None:
    parts = [fact["note"]] if fact["note"] else []
    if fact["stand_in"] and fact["stand_in"] not in " ".join(parts):
        parts.append(f"in its place: {fact['stand_in']}")
    if fact["own_code"]:
        parts.append(
            f"needs code of its own, which Tunery doesn't run; take {_NATIVE_SUCCESSOR[fact['family']]}"
        )
    return "; ".join(parts) or None
