"""The Mistral family."""

API_VERSION = 1
TITLE = "Mistral"
MODEL_TYPES = frozenset({"mistral"})
CHAT_TEMPLATE: str | None = None
PACKED = True
LORA_TARGETS: tuple[str, ...] = ()
EXPERTS: tuple[str, ...] = ()
RUNS_WITH: dict[str, object] = {}
TEXT_TO_TEXT = False
