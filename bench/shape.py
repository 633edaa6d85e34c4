"""What the benches of training work on: a Llama with random weights, its tokenizer, and rows shaped like real chats.

All made on the spot from a seed; nothing is downloaded.
"""

import itertools
import json
import random
import sys
from pathlib import Path
from typing import Any

from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers

from bench.conversations import conversations

VOCABULARY = 32_000
LIMIT = 1024
"""Tokens a row is cut at."""
LLAMA = {
    "vocab_size": VOCABULARY,
    "hidden_size": 384,
    "intermediate_size": 1024,
    "num_hidden_layers": 8,
    "num_attention_heads": 6,
    "num_key_value_heads": 2,
    "max_position_embeddings": 2048,
    "tie_word_embeddings": True,
    "bos_token_id": None,
    "eos_token_id": 0,
    "pad_token_id": 1,
}
"""24.9 million parameters."""
_SPECIAL = ("<|end|>", "<|pad|>", "<|system|>", "<|user|>", "<|assistant|>")
CHAT_TEMPLATE = (
    "{% for message in messages %}<|{{ message['role'] }}|>{% if message['role'] == 'assistant' %}"
    "{% generation %}{{ message['content'] }}<|end|>{% endgeneration %}"
    "{% else %}{{ message['content'] }}<|end|>{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)
"""With what TRL needs to find the answers."""


def make_model(folder: Path, seed: int = 0) -> Path:
    """A base model's folder."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(seed)
    LlamaForCausalLM(LlamaConfig(**LLAMA)).save_pretrained(folder)
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=[AddedToken(token, special=True) for token in _SPECIAL],  # pyright: ignore[reportArgumentType]
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    texts = (turn["content"] for row in conversations(3_000_000, seed + 1) for turn in row["messages"])
    tokenizer.train_from_iterator(texts, trainer)
    tokenizer.save(str(folder / "tokenizer.json"))
    settings = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "eos_token": _SPECIAL[0],
        "pad_token": _SPECIAL[1],
        "model_max_length": LLAMA["max_position_embeddings"],
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    (folder / "chat_template.jinja").write_text(CHAT_TEMPLATE)
    return folder


def chats(count: int, seed: int) -> list[dict[str, Any]]:
    """So many rows in the messages format: a few turns each, with a text now and then that the user pastes in."""
    draw = random.Random(seed)
    source = conversations(sys.maxsize, seed)
    rows: list[dict[str, Any]] = []
    for row in itertools.islice(source, count):
        turns = row["messages"]
        if draw.random() < 0.45:
            turns += [turn for turn in next(source)["messages"] if turn["role"] != "system"]
        for turn in turns:
            if turn["role"] == "user" and draw.random() < 0.3:
                turn["content"] += "\n\n" + next(source)["messages"][-1]["content"]
        rows.append({"messages": turns})
    return rows


def preferences(count: int, seed: int) -> list[dict[str, Any]]:
    """So many questions with a better answer and a worse one."""
    rows: list[dict[str, Any]] = []
    for row, other in zip(chats(count, seed), chats(count, seed + 1), strict=True):
        *before, answer = row["messages"]
        rejected = {"role": "assistant", "content": other["messages"][-1]["content"]}
        rows.append({"prompt": before[-3:], "chosen": [answer], "rejected": [rejected]})
    return rows
