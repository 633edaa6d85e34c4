"""The Qwen family."""

API_VERSION = 1
TITLE = "Qwen"
MODEL_TYPES = frozenset({"qwen2", "qwen3"})
CHAT_TEMPLATE: str | None = None
PACKED = True
LORA_TARGETS: tuple[str, ...] = ()
EXPERTS: tuple[str, ...] = ()
RUNS_WITH: dict[str, object] = {}
TEXT_TO_TEXT = False
