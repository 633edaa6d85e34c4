"""The starter model's tokenizer and chat template.

A byte-level BPE whose words are split so that copying is easy: a capitalised word never carries the space
before it, every capital letter and every digit starts a token, and every line break stands alone. So a name
has the same tokens after a space and after a quotation mark. The module does not know where its texts come
from; the same texts give the same tokenizer.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

END = "<|end|>"
PAD = "<|pad|>"
SPLIT = r" ?\p{Ll}+|\p{Lu}\p{Ll}*|\p{N}|\n|[^\s\p{L}\p{N}]+(?: (?=[\p{Lu}\p{N}]))?|[^\S\n]+|\p{L}|\s"
CHAT_TEMPLATE = (
    "{%- for message in messages -%}\n"
    "{%- if message['role'] == 'system' -%}{{ 'System:\\n' + message['content'] + '\\n' }}\n"
    "{%- elif message['role'] == 'user' -%}{{ 'User:\\n' + message['content'] + '\\n' }}\n"
    "{%- else -%}{{ 'Assistant:\\n' + message['content'] + '<|end|>\\n' }}\n"
    "{%- endif -%}\n"
    "{%- endfor -%}\n"
    "{%- if add_generation_prompt -%}{{ 'Assistant:\\n' }}{%- endif -%}\n"
)


def train(texts: Iterable[str], vocabulary: int = 2048) -> Tokenizer:
    """A tokenizer of ``vocabulary`` entries learned from the texts."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(SPLIT), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        min_frequency=2,
        special_tokens=[END, PAD],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer


def save(tokenizer: Tokenizer, folder: Path, longest: int = 1024) -> None:
    """Write the files that ``AutoTokenizer.from_pretrained`` reads."""
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(folder / "tokenizer.json"))
    settings = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "eos_token": END,
        "pad_token": PAD,
        "model_max_length": longest,
        "clean_up_tokenization_spaces": False,
        "model_input_names": ["input_ids", "attention_mask"],
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(settings, indent=2) + "\n", encoding="utf-8")
    named = {"eos_token": END, "pad_token": PAD}
    (folder / "special_tokens_map.json").write_text(json.dumps(named, indent=2) + "\n", encoding="utf-8")
    (folder / "chat_template.jinja").write_text(CHAT_TEMPLATE, encoding="utf-8")
