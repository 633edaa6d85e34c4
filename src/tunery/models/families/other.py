"""Any family that has no file of its own. Nothing is assumed of its attention, so it isn't packed."""

from collections.abc import Mapping
from typing import Any

API_VERSION = 1
TITLE = "Other"
MODEL_TYPES: frozenset[str] = frozenset()
CHAT_TEMPLATE: str | None = None
PACKED = False


def lora_targets(config: Mapping[str, Any]) -> list[str] | str:
    """Every linear layer but the output layer."""
    return "all-linear"
