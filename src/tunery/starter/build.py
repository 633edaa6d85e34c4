"""Write the untrained starter model: its tokenizer, its configuration and the text it is to be trained on.

    python -m tunery.starter.build OUT --seed 0 --characters 24000000

``OUT`` then holds ``model/`` (``config.json`` and the tokenizer's files, no weights) and ``corpus.jsonl`` (one
``{"text": …}`` a line). The module does not train; any trainer that can start a model from a configuration can.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from tunery.starter import corpus, initial, tokenizer

CONFIG = {
    "architectures": ["LlamaForCausalLM"],
    "model_type": "llama",
    "hidden_size": 320,
    "intermediate_size": 896,
    "num_hidden_layers": 4,
    "num_attention_heads": 5,
    "num_key_value_heads": 5,
    "head_dim": 64,
    "hidden_act": "silu",
    "max_position_embeddings": 1024,
    "initializer_range": 0.02,
    "rms_norm_eps": 1e-05,
    "rope_parameters": {"rope_type": "default", "rope_theta": 100000.0},
    "attention_bias": False,
    "attention_dropout": 0.0,
    "mlp_bias": False,
    "tie_word_embeddings": True,
    "use_cache": True,
    "dtype": "bfloat16",
}
VOCABULARY = 2048
TOKENIZER_CHARACTERS = 4_000_000


def build(out: Path, seed: int = 0, characters: int = 24_000_000) -> None:
    """Write ``out/model`` and ``out/corpus.jsonl``."""
    model = out / "model"
    trained = tokenizer.train(corpus.documents(seed + 1, TOKENIZER_CHARACTERS), VOCABULARY)
    tokenizer.save(trained, model, CONFIG["max_position_embeddings"])
    ids = {
        "vocab_size": trained.get_vocab_size(),
        "bos_token_id": None,
        "eos_token_id": trained.token_to_id(tokenizer.END),
        "pad_token_id": trained.token_to_id(tokenizer.PAD),
    }
    config = {**CONFIG, **ids}
    (model / "config.json").write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
    initial.write(model, config, seed)
    with (out / "corpus.jsonl").open("w", encoding="utf-8") as file:
        for text in corpus.documents(seed, characters):
            file.write(json.dumps({"text": text}, ensure_ascii=False) + "\n")


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description="Write the untrained starter model and its corpus.")
    parser.add_argument("out", type=Path)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--characters", type=int, default=24_000_000)
    args = parser.parse_args()
    build(args.out, args.seed, args.characters)


if __name__ == "__main__":
    main()
