"""The Phi family."""

API_VERSION = 1
TITLE = "Phi"
MODEL_TYPES = frozenset({"phi", "phi3"})
CHAT_TEMPLATE: str | None = None
PACKED = True
LORA_TARGETS: tuple[str, ...] = ()
EXPERTS: tuple[str, ...] = ()
RUNS_WITH: dict[str, object] = {}
TEXT_TO_TEXT = False
