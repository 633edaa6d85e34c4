"""The GPT-2 family."""

API_VERSION = 1
TITLE = "GPT-2"
MODEL_TYPES = frozenset({"gpt2"})
CHAT_TEMPLATE: str | None = None
PACKED = True
LORA_TARGETS: tuple[str, ...] = ()
EXPERTS: tuple[str, ...] = ()
RUNS_WITH: dict[str, object] = {}
TEXT_TO_TEXT = False
