"""The OPT family."""

API_VERSION = 1
TITLE = "OPT"
MODEL_TYPES = frozenset({"opt"})
CHAT_TEMPLATE: str | None = None
PACKED = True
LORA_TARGETS: tuple[str, ...] = ()
EXPERTS: tuple[str, ...] = ()
RUNS_WITH: dict[str, object] = {}
TEXT_TO_TEXT = False
