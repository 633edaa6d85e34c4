"""The DeepSeek-V3 family, R1 too: keys and values come from one narrow vector each."""

API_VERSION = 1
TITLE = "DeepSeek-V3"
MODEL_TYPES = frozenset({"deepseek_v3"})
CHAT_TEMPLATE: str | None = None
PACKED = True
LORA_TARGETS: tuple[str, ...] = (
    "q_proj",
    "q_a_proj",
    "q_b_proj",
    "kv_a_proj_with_mqa",
    "kv_b_proj",
    "o_proj",
)
EXPERTS: tuple[str, ...] = ("mlp.experts.gate_up_proj", "mlp.experts.down_proj")
RUNS_WITH: dict[str, object] = {}
TEXT_TO_TEXT = False
