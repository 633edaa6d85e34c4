"""Any family that has no file of its own. Nothing is assumed of its attention, so it isn't packed."""

API_VERSION = 1
TITLE = "Other"
MODEL_TYPES: frozenset[str] = frozenset()
CHAT_TEMPLATE: str | None = None
PACKED = False
LORA_TARGETS: tuple[str, ...] = ()
EXPERTS: tuple[str, ...] = ()
RUNS_WITH: dict[str, object] = {}
TEXT_TO_TEXT = False
