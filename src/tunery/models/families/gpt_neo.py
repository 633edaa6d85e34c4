"""The GPT-Neo family. Its code has an attention of its own, which can't be told where a row ends."""

API_VERSION = 1
TITLE = "GPT-Neo"
MODEL_TYPES = frozenset({"gpt_neo"})
CHAT_TEMPLATE: str | None = None
PACKED = False
LORA_TARGETS: tuple[str, ...] = ()
EXPERTS: tuple[str, ...] = ()
RUNS_WITH: dict[str, object] = {}
TEXT_TO_TEXT = False
