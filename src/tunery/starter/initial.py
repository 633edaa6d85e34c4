"""The starter model's first weights: random, except for a few attention heads that are written by hand.

A model this small needs a very long time to find out by itself how to copy a word that it has never seen. So
two heads of the first layer are set to look one and two tokens back and to note down what they saw, and two
heads of the second layer are set to look for the place where the same tokens came before and to bring the
token that followed there. That is a start, not a constraint: training may change every number.

The module writes ``model.safetensors`` next to a Llama ``config.json``. It knows nothing of the text.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import TensorSpec, serialize_file

Array = np.ndarray
SCALE = 0.05  # of the embeddings, and of what the heads write
BRING = 5.0  # how loudly a head says the token it brings
BACK = 2  # heads that look back, and heads that bring the next token


def _rows(rng: np.random.Generator, count: int, width: int) -> Array:
    """``count`` orthonormal rows of ``width`` numbers."""
    return np.linalg.qr(rng.standard_normal((width, count)))[0].T


def weights(config: dict[str, Any], seed: int) -> dict[str, Array]:
    """All tensors of an untrained model with tied embeddings, by their names."""
    rng = np.random.default_rng(seed)
    width, inner, layers = config["hidden_size"], config["intermediate_size"], config["num_hidden_layers"]
    head, vocabulary = config["head_dim"], config["vocab_size"]
    attention = config["num_attention_heads"] * head
    spread = config["initializer_range"]
    shapes = {
        "self_attn.q_proj": (attention, width), "self_attn.k_proj": (attention, width),
        "self_attn.v_proj": (attention, width), "self_attn.o_proj": (width, attention),
        "mlp.gate_proj": (inner, width), "mlp.up_proj": (inner, width), "mlp.down_proj": (width, inner),
    }  # fmt: skip
    tensors: dict[str, Array] = {}
    for layer in range(layers):
        for name, shape in shapes.items():
            quiet = 1 / math.sqrt(2 * layers) if name.endswith(("o_proj", "down_proj")) else 1.0
            tensors[f"model.layers.{layer}.{name}.weight"] = rng.standard_normal(shape) * spread * quiet
        for name in ("input_layernorm", "post_attention_layernorm"):
            tensors[f"model.layers.{layer}.{name}.weight"] = np.ones(width)
    tensors["model.norm.weight"] = np.ones(width)
    embeddings = rng.standard_normal((vocabulary, width)) * SCALE
    tensors["model.embed_tokens.weight"] = embeddings
    _copying(tensors, config, rng)
    return {name: tensor.astype(np.float32) for name, tensor in tensors.items()}


def _copying(tensors: dict[str, Array], config: dict[str, Any], rng: np.random.Generator) -> None:
    """Write the heads that look back and the heads that bring the next token."""
    width, head = config["hidden_size"], config["head_dim"]
    half = head // 2
    turns = float(config["rope_parameters"]["rope_theta"]) ** (-np.arange(half) / half)
    own = slice(
        1, width - BACK * head
    )  # number 0 is the same for every token; then the token; then the notes
    size = own.stop - own.start
    embeddings = tensors["model.embed_tokens.weight"]
    embeddings[:, 0] = 4 * SCALE
    embeddings[:, own.stop :] *= 0.1
    read = _rows(rng, head, size)  # what a head notes down of a token
    first = {part: tensors[f"model.layers.0.self_attn.{part}_proj.weight"] for part in "qkvo"}
    second = {part: tensors[f"model.layers.1.self_attn.{part}_proj.weight"] for part in "qkvo"}
    notes = [slice(own.stop + index * head, own.stop + (index + 1) * head) for index in range(BACK)]

    fast = 6  # this many of the fastest turns tell neighbours apart
    sharp = math.sqrt(8.0 * math.sqrt(head) / (13.0 * np.sum(1 - np.cos(turns[:fast]))))
    for index in range(BACK):  # layer 0: look ``index + 1`` tokens back
        at = slice(index * head, (index + 1) * head)
        for part in "qkv":
            first[part][at] = 0.0
        query, key = first["q"][at, 0], first["k"][at, 0]
        query[:fast] = query[half - fast : half] = sharp
        key[:fast] = sharp * np.cos(turns[:fast] * (index + 1))
        key[half : half + fast] = sharp * np.sin(turns[:fast] * (index + 1))
        key[half - fast : half] = -sharp  # so that the best place scores about nothing, and all others less
        first["v"][at, own] = read
        first["o"][:, at] = 0.0
        first["o"][notes[index], at] = SCALE * np.eye(head)

    slow = np.flatnonzero(turns < 0.005)  # these turn too little to spoil a comparison
    places = np.concatenate([slow, slow + half])
    cut = len(places) * 5 // 8
    bring = _rows(rng, BACK * head, size)
    for index in range(BACK):  # layer 1: find the same two tokens, bring what came after them
        at = slice(index * head, (index + 1) * head)
        for part in "qk":
            second[part][at] = 0.0
        start = index * head
        mix = rng.standard_normal((len(places), head)) * math.sqrt(8.0 / head)
        rows = start + places
        second["q"][rows[:cut], own] = mix[:cut] @ read  # this token …
        second["k"][rows[:cut], notes[0]] = mix[:cut]  # … was the one before that place
        second["q"][rows[cut:], notes[0]] = mix[cut:]  # the token before this one …
        second["k"][rows[cut:], notes[1]] = mix[cut:]  # … was two before that place
        second["v"][at] = 0.0
        second["v"][at, own] = bring[start : start + head]
        second["o"][:, at] = 0.0
        second["o"][own, at] = BRING * SCALE * bring[start : start + head].T


def write(folder: Path, config: dict[str, Any], seed: int) -> None:
    """Write ``model.safetensors`` into the folder, in bfloat16, the dtype that the trained model keeps."""
    stored = {name: _bfloat16(tensor) for name, tensor in weights(config, seed).items()}
    specs = {
        name: TensorSpec(
            dtype="bfloat16", shape=list(tensor.shape), data_ptr=tensor.ctypes.data, data_len=tensor.nbytes
        )
        for name, tensor in stored.items()
    }
    serialize_file(specs, str(folder / "model.safetensors"), metadata={"format": "pt"})


def _bfloat16(tensor: Array) -> Array:
    """The upper halves of 32-bit numbers, rounded to even."""
    bits = np.ascontiguousarray(tensor, np.float32).view(np.uint32)
    return ((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16).astype("<u2")
