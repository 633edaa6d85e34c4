"""The Gemma family."""

API_VERSION = 1
TITLE = "Gemma"
MODEL_TYPES = frozenset({"gemma", "gemma2", "gemma3_text"})
CHAT_TEMPLATE: str | None = None
PACKED = True
LORA_TARGETS: tuple[str, ...] = ()
EXPERTS: tuple[str, ...] = ()
RUNS_WITH: dict[str, object] = {}
TEXT_TO_TEXT = False
