"""The OPT family."""

from collections.abc import Mapping
from typing import Any

API_VERSION = 1
TITLE = "OPT"
MODEL_TYPES = frozenset({"opt"})
CHAT_TEMPLATE: str | None = None
PACKED = True


def lora_targets(config: Mapping[str, Any]) -> list[str] | str:
    """Every linear layer but the output layer."""
    return "all-linear"
