"""A tiny base model and adapters on it, in the files that training writes."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file

from tests.toys import toy_model
from tunery.core.files import write_json

_HIDDEN = 64
_KEYS = 32
"""Rows of k_proj and v_proj: two heads of 16."""
_ROWS = {"q_proj": _HIDDEN, "k_proj": _KEYS, "v_proj": _KEYS, "o_proj": _HIDDEN}


@dataclass(frozen=True)
class Models:
    """One base and two adapters of different rank, each strong enough to change what is said."""

    base: Path
    first: Path
    second: Path


def make_models(folder: Path) -> Models:
    base = toy_model(folder / "base", "llama")
    return Models(
        base, make_adapter(folder / "first", rank=4, seed=1), make_adapter(folder / "second", rank=8, seed=2)
    )


def make_adapter(
    folder: Path, *, rank: int = 4, seed: int = 0, layers: int = 2, hidden: int = _HIDDEN
) -> Path:
    """A LoRA adapter in PEFT's format."""
    draw = np.random.default_rng(seed)
    tensors: dict[str, np.ndarray] = {}
    for layer in range(layers):
        for name, rows in _ROWS.items():
            place = f"base_model.model.model.layers.{layer}.self_attn.{name}"
            tensors[f"{place}.lora_A.weight"] = draw.normal(0, 0.3, (rank, hidden)).astype(np.float32)
            tensors[f"{place}.lora_B.weight"] = draw.normal(0, 0.3, (rows, rank)).astype(np.float32)
    folder.mkdir(parents=True)
    save_file(tensors, folder / "adapter_model.safetensors", {"format": "pt"})
    config = {
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "r": rank,
        "lora_alpha": 2 * rank,
        "lora_dropout": 0.0,
        "target_modules": sorted(_ROWS),
        "base_model_name_or_path": "toy",
        "inference_mode": True,
    }
    write_json(folder / "adapter_config.json", config)
    return folder
