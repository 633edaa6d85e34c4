"""The gpt-oss family. Its attention has sinks, which the attention for packed rows doesn't know."""

API_VERSION = 1
TITLE = "gpt-oss"
MODEL_TYPES = frozenset({"gpt_oss"})
CHAT_TEMPLATE: str | None = None
PACKED = False
LORA_TARGETS: tuple[str, ...] = ("q_proj", "k_proj", "v_proj", "o_proj")
EXPERTS: tuple[str, ...] = ("mlp.experts.gate_up_proj", "mlp.experts.down_proj")
RUNS_WITH: dict[str, object] = {}
TEXT_TO_TEXT = False
