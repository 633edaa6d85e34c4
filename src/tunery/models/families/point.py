"""The extension point of model families."""

from collections.abc import Mapping
from typing import Any, Protocol

from tunery.core.extensions import Point


class Family(Protocol):
    """What a module in this folder offers."""

    API_VERSION: int
    TITLE: str
    MODEL_TYPES: frozenset[str]
    """Values of `model_type` in config.json."""
    CHAT_TEMPLATE: str | None
    """Used only where the tokenizer has none."""
    PACKED: bool
    """Its attention can be laid out without padding; rows of the others are computed one at a time."""
    LORA_TARGETS: tuple[str, ...]
    """Names of the layers that get an adapter where nobody chose; empty = every linear layer but the output."""
    EXPERTS: tuple[str, ...]
    """Ends of the names of the weights that hold all experts of a layer, in a mixture of experts."""
    RUNS_WITH: Mapping[str, Any]
    """What of its config.json is another here, without a change of what the model says."""
    TEXT_TO_TEXT: bool
    """An encoder reads the prompt and a decoder writes the answer; of the others, one network does both."""


FAMILIES: Point[Family] = Point("tunery.models.families", "model family", api_version=1)
