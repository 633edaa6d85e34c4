"""The T5 family, Flan-T5 and mT5 too: an encoder reads the prompt, a decoder writes the answer.

Such models know no turns. A single request is given as it is; of a longer talk each turn is named.
"""

API_VERSION = 1
TITLE = "T5"
MODEL_TYPES = frozenset({"t5", "mt5"})
CHAT_TEMPLATE: str | None = (
    "{% set ns = namespace(turns=0) %}"
    "{% for message in messages %}"
    "{% if message['role'] not in ('system', 'assistant') %}{% set ns.turns = ns.turns + 1 %}{% endif %}"
    "{% endfor %}"
    "{% for message in messages %}"
    "{% if message['role'] == 'assistant' %}{{ 'Assistant: ' + message['content'] }}"
    "{% elif message['role'] == 'system' or ns.turns < 2 %}{{ message['content'] }}"
    "{% else %}{{ 'Human: ' + message['content'] }}{% endif %}"
    "{% if not loop.last %}{{ '\n' }}{% endif %}"
    "{% endfor %}"
    "{{ eos_token }}"
)
PACKED = False
LORA_TARGETS: tuple[str, ...] = ()
EXPERTS: tuple[str, ...] = ()
RUNS_WITH: dict[str, object] = {}
TEXT_TO_TEXT = True
