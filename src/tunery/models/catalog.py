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
    return [_entry(fact) for fact in _facts()]


def entry(name: str) -> BaseModelEntry | None:
    """The entry of that name or hub repository."""
    return next((found for found in entries() if name in (found.name, found.repo)), None)


def native_successor(name: str) -> str | None:
    """What to take in place of a model that needs code of its own to run; none for any other."""
    return next(
        (
            _instead(fact["family"])
            for fact in _facts()
            if name in (fact["name"], fact["repo"]) and fact["own_code"]
        ),
        None,
    )


def successor_of_family(model_type: str) -> str | None:
    """The same by what config.json calls the kind of model."""
    return _instead(model_type) if model_type in _NATIVE_SUCCESSOR else None


@cache
def _facts() -> list[dict[str, Any]]:
    return orjson.loads(files("tunery.models").joinpath("catalog.json").read_bytes())


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
    """Sentences for who chooses a model."""
    sentences = [fact["note"]] if fact["note"] else []
    if fact["stand_in"]:
        sentences.append(f"The nearest open model is {fact['stand_in']}.")
    if fact["own_code"]:
        sentences.append(f"It needs custom code, which Tunery doesn't run. {_instead(fact['family'])}")
    return " ".join(sentences) or None


def _instead(family: str) -> str:
    return f"Use {_NATIVE_SUCCESSOR[family]} instead."
