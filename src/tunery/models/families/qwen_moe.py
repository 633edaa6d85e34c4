"""Qwen models with a mixture of experts."""

API_VERSION = 1
TITLE = "Qwen MoE"
MODEL_TYPES = frozenset({"qwen2_moe", "qwen3_moe"})
CHAT_TEMPLATE: str | None = None
PACKED = True
LORA_TARGETS: tuple[str, ...] = ("q_proj", "k_proj", "v_proj", "o_proj")
EXPERTS: tuple[str, ...] = ("mlp.experts.gate_up_proj", "mlp.experts.down_proj")
RUNS_WITH: dict[str, object] = {}
TEXT_TO_TEXT = False
