"""The ERNIE 4.5 family."""

from collections.abc import Mapping
from typing import Any

API_VERSION = 1
TITLE = "ERNIE 4.5"
MODEL_TYPES = frozenset({"ernie4_5"})
CHAT_TEMPLATE: str | None = None
PACKED = True


def lora_targets(config: Mapping[str, Any]) -> list[str] | str:
    """Every linear layer but the output layer."""
    return "all-linear"
