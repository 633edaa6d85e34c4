"""The Gemma family."""

from collections.abc import Mapping
from typing import Any

API_VERSION = 1
TITLE = "Gemma"
MODEL_TYPES = frozenset({"gemma", "gemma2", "gemma3_text"})
CHAT_TEMPLATE: str | None = None
PACKED = True


def lora_targets(config: Mapping[str, Any]) -> list[str] | str:
    """Every linear layer but the output layer."""
    return "all-linear"
