"""The Mistral family."""

from collections.abc import Mapping
from typing import Any

API_VERSION = 1
TITLE = "Mistral"
MODEL_TYPES = frozenset({"mistral"})
CHAT_TEMPLATE: str | None = None
PACKED = True


def lora_targets(config: Mapping[str, Any]) -> list[str] | str:
    """Every linear layer but the output layer."""
    return "all-linear"
