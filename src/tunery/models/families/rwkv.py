"""The RWKV family. A state runs from token to token; nothing but a new start ends a row.

Its code halves weights in place, layer by layer, against the overflow of fp16 when it answers. Nothing here
computes in fp16, and an adapter's part would not be halved with them.
"""

API_VERSION = 1
TITLE = "RWKV"
MODEL_TYPES = frozenset({"rwkv"})
CHAT_TEMPLATE: str | None = None
PACKED = False
LORA_TARGETS: tuple[str, ...] = ()
EXPERTS: tuple[str, ...] = ()
RUNS_WITH: dict[str, object] = {"rescale_every": 0}
TEXT_TO_TEXT = False
