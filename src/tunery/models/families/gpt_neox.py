"""The GPT-NeoX family."""

API_VERSION = 1
TITLE = "GPT-NeoX"
MODEL_TYPES = frozenset({"gpt_neox"})
CHAT_TEMPLATE: str | None = None
PACKED = True
LORA_TARGETS: tuple[str, ...] = ()
EXPERTS: tuple[str, ...] = ()
RUNS_WITH: dict[str, object] = {}
TEXT_TO_TEXT = False
