"""The GPT-J family. Its code has an attention of its own, which can't be told where a row ends."""

API_VERSION = 1
TITLE = "GPT-J"
MODEL_TYPES = frozenset({"gptj"})
CHAT_TEMPLATE: str | None = None
PACKED = False
LORA_TARGETS: tuple[str, ...] = ()
EXPERTS: tuple[str, ...] = ()
RUNS_WITH: dict[str, object] = {}
TEXT_TO_TEXT = False
