"""The GLM family."""

API_VERSION = 1
TITLE = "GLM"
MODEL_TYPES = frozenset({"glm", "glm4"})
CHAT_TEMPLATE: str | None = None
PACKED = True
LORA_TARGETS: tuple[str, ...] = ()
EXPERTS: tuple[str, ...] = ()
RUNS_WITH: dict[str, object] = {}
TEXT_TO_TEXT = False
