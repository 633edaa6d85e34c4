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
    """Its attention can be laid out without padding."""

    def lora_targets(self, config: Mapping[str, Any]) -> list[str] | str:
        """What `all-linear` means for this family."""
        ...


FAMILIES: Point[Family] = Point("tunery.models.families", "model family", api_version=1)
