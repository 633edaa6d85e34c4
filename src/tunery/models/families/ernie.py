"""The ERNIE 4.5 family."""

API_VERSION = 1
TITLE = "ERNIE 4.5"
MODEL_TYPES = frozenset({"ernie4_5"})
CHAT_TEMPLATE: str | None = None
PACKED = True
LORA_TARGETS: tuple[str, ...] = ()
EXPERTS: tuple[str, ...] = ()
RUNS_WITH: dict[str, object] = {}
TEXT_TO_TEXT = False
