"""The GPT-2 family."""

from collections.abc import Mapping
from typing import Any

API_VERSION = 1
TITLE = "GPT-2"
MODEL_TYPES = frozenset({"gpt2"})
CHAT_TEMPLATE: str | None = None
PACKED = True


def lora_targets(config: Mapping[str, Any]) -> list[str] | str:
    """Every linear layer but the output layer."""
    return "all-linear"
