"""Tiny real models, rows with something to learn in them, and attempt folders. All made on the spot."""

import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers

from tunery.core.attempt import AttemptFolder
from tunery.core.files import read_json, write_json
from tunery.data.arrow import write_arrow
from tunery.data.rows import Conversation, Labelled, Message, Preference, Row, Text, encode_row
from tunery.methods.point import METHODS
from tunery.schemas.engine import EngineInput, EngineSpec, Part
from tunery.schemas.run import ResolvedSpec, RunSpec

CHAT_TEMPLATE = (
    "{% for message in messages %}<|{{ message['role'] }}|>{{ message['content'] }}<|end|>{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)
_COLOURS = ("red", "blue", "green", "white", "black", "brown", "pink", "grey")
_THINGS = ("house", "river", "stone", "cloud", "horse", "table", "apple", "tower")
SPECIAL = ("<|end|>", "<|pad|>", "<|system|>", "<|user|>", "<|assistant|>")

_SMALL = {"hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4, "max_position_embeddings": 256}
_GATED = {**_SMALL, "intermediate_size": 128, "num_key_value_heads": 2}
_EXPERTS = {**_GATED, "moe_intermediate_size": 32, "num_experts_per_tok": 2}
ARCHITECTURES: dict[str, tuple[str, dict[str, Any]]] = {
    "llama": ("LlamaConfig", _GATED),
    "qwen2": ("Qwen2Config", _GATED),
    "qwen3": ("Qwen3Config", {**_GATED, "head_dim": 16}),
    "mistral": ("MistralConfig", {**_GATED, "sliding_window": 16}),
    "gemma": ("GemmaConfig", {**_GATED, "head_dim": 16}),
    "gemma2": ("Gemma2Config", {**_GATED, "head_dim": 16, "sliding_window": 16, "query_pre_attn_scalar": 16}),
    "gemma3": (
        "Gemma3TextConfig",
        {**_GATED, "head_dim": 16, "sliding_window": 16, "query_pre_attn_scalar": 16},
    ),
    "phi": ("PhiConfig", {**_SMALL, "intermediate_size": 128}),
    "phi3": ("Phi3Config", _GATED),
    "gpt2": ("GPT2Config", {"n_embd": 64, "n_layer": 2, "n_head": 4, "n_positions": 256}),
    "gpt_neox": ("GPTNeoXConfig", {**_SMALL, "intermediate_size": 128}),
    "glm": ("GlmConfig", {**_GATED, "head_dim": 16}),
    "glm4": ("Glm4Config", {**_GATED, "head_dim": 16}),
    "ernie4_5": ("Ernie4_5Config", {**_GATED, "head_dim": 16}),
    "opt": ("OPTConfig", {**_SMALL, "ffn_dim": 128, "word_embed_proj_dim": 64, "dropout": 0.0}),
    "bloom": ("BloomConfig", {"hidden_size": 64, "n_layer": 2, "n_head": 4}),
    "falcon": ("FalconConfig", {"hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4}),
    "falcon_new": (
        "FalconConfig",
        {
            "hidden_size": 64,
            "num_hidden_layers": 2,
            "num_attention_heads": 4,
            "new_decoder_architecture": True,
            "num_kv_heads": 2,
        },
    ),
    "gptj": ("GPTJConfig", {"n_embd": 64, "n_layer": 2, "n_head": 4, "n_positions": 256, "rotary_dim": 8}),
    "gpt_neo": (
        "GPTNeoConfig",
        {
            "hidden_size": 64,
            "num_layers": 2,
            "num_heads": 4,
            "attention_types": [[["global", "local"], 1]],
            "window_size": 16,
            "max_position_embeddings": 256,
        },
    ),
    "rwkv": (
        "RwkvConfig",
        {
            "hidden_size": 64,
            "attention_hidden_size": 64,
            "num_hidden_layers": 2,
            "context_length": 256,
            "rescale_every": 1,
        },
    ),
    "mixtral": ("MixtralConfig", {**_GATED, "num_local_experts": 4, "num_experts_per_tok": 2}),
    "qwen2_moe": ("Qwen2MoeConfig", {**_EXPERTS, "num_experts": 4, "shared_expert_intermediate_size": 32}),
    "qwen3_moe": ("Qwen3MoeConfig", {**_EXPERTS, "num_experts": 4, "head_dim": 16}),
    "glm4_moe": (
        "Glm4MoeConfig",
        {**_EXPERTS, "n_routed_experts": 4, "head_dim": 16, "first_k_dense_replace": 1},
    ),
    "ernie4_5_moe": (
        "Ernie4_5_MoeConfig",
        {**_EXPERTS, "moe_num_experts": 4, "moe_k": 2, "moe_layer_start_index": 1},
    ),
    "deepseek_v3": (
        "DeepseekV3Config",
        {
            **_EXPERTS,
            "num_key_value_heads": 4,
            "n_routed_experts": 4,
            "n_group": 2,
            "topk_group": 1,
            "first_k_dense_replace": 1,
            "q_lora_rank": 16,
            "kv_lora_rank": 16,
            "qk_rope_head_dim": 8,
            "qk_nope_head_dim": 16,
            "v_head_dim": 12,
        },
    ),
    "gpt_oss": (
        "GptOssConfig",
        {**_GATED, "head_dim": 16, "num_local_experts": 4, "num_experts_per_tok": 2, "sliding_window": 16},
    ),
}
"""Real architectures at toy size: name to configuration class of transformers and its arguments."""

_APART: dict[str, Any] = {
    "d_model": 64,
    "d_kv": 16,
    "d_ff": 128,
    "num_layers": 2,
    "num_heads": 4,
    "dropout_rate": 0.0,
    "decoder_start_token_id": 1,
}
TEXT_TO_TEXT: dict[str, tuple[str, dict[str, Any]]] = {
    "t5": ("T5Config", {**_APART, "num_decoder_layers": 1, "n_positions": 256}),
    "flan_t5": ("T5Config", {**_APART, "feed_forward_proj": "gated-gelu", "tie_word_embeddings": False}),
    "mt5": ("MT5Config", {**_APART, "feed_forward_proj": "gated-gelu", "tie_word_embeddings": False}),
}
"""The same with an encoder that reads and a decoder that writes."""


def toy_conversations(count: int = 64, seed: int = 0) -> list[Conversation]:
    """Questions whose answers follow from a rule: a tiny model learns it in seconds."""
    draw = random.Random(seed)
    rows: list[Conversation] = []
    for _ in range(count):
        colour, thing = draw.choice(_COLOURS), draw.choice(_THINGS)
        extra = " please" * draw.randrange(6)
        messages = [
            Message.of("user", f"What is the {colour} {thing}?{extra}"),
            Message.of("assistant", f"The {thing} is {colour}."),
        ]
        if draw.random() < 0.3:
            messages += [Message.of("user", "Again?"), Message.of("assistant", f"Still {colour}.")]
        if draw.random() < 0.3:
            messages.insert(0, Message.of("system", "Be brief."))
        rows.append(Conversation(tuple(messages)))
    return rows


def toy_texts(count: int = 32, seed: int = 0) -> list[Text]:
    """Plain text with a rule in it."""
    draw = random.Random(seed)
    return [
        Text(
            " ".join(
                f"The {draw.choice(_COLOURS)} {draw.choice(_THINGS)} stands."
                for _ in range(draw.randint(2, 14))
            )
        )
        for _ in range(count)
    ]


def toy_preferences(count: int = 32, seed: int = 0, answers: int = 2) -> list[Preference]:
    """The toy questions; the right answer is preferred, later ones name another colour or ramble."""
    draw = random.Random(seed + 1)
    rows: list[Preference] = []
    for row in toy_conversations(count, seed):
        *before, best = row.messages
        worse = [
            Message.of("assistant", f"It is {' very' * n} {draw.choice(_COLOURS)}, I think.")
            for n in range(1, answers)
        ]
        rows.append(Preference(tuple(before), (best, *worse)))
    return rows


def toy_labelled(count: int = 48, seed: int = 0) -> list[Labelled]:
    """The toy questions with a right answer that is wanted, or a wrong one that isn't."""
    rows = toy_preferences(count, seed)
    return [
        Labelled((*row.messages, row.chosen if at % 3 else row.rejected), bool(at % 3))
        for at, row in enumerate(rows)
    ]


def toy_rows(method: str, count: int = 64, seed: int = 0) -> Sequence[Row]:
    """Rows that a method takes."""
    takes = METHODS.load(method).TAKES
    if "conversation" in takes:
        return toy_conversations(count, seed)
    if "preference" in takes:
        return toy_preferences(count, seed)
    return toy_labelled(count, seed) if "labelled" in takes else toy_texts(count, seed)


def toy_tokenizer(folder: Path, *, chat_template: bool = True, limit: int = 256) -> Tokenizer:
    """A byte-level BPE tokenizer trained on the toy rows, in the files that transformers writes."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=400,
        special_tokens=[AddedToken(token, special=True) for token in SPECIAL],  # pyright: ignore[reportArgumentType]
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    texts = [m.text for row in toy_conversations(200, 1) for m in row.messages] + [
        row.text for row in toy_texts(50, 1)
    ]
    tokenizer.train_from_iterator(texts, trainer)
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(folder / "tokenizer.json"))
    settings = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "eos_token": SPECIAL[0],
        "pad_token": SPECIAL[1],
        "model_max_length": limit,
    }
    write_json(folder / "tokenizer_config.json", settings)
    if chat_template:
        (folder / "chat_template.jinja").write_text(CHAT_TEMPLATE)
    return tokenizer


def toy_model(
    folder: Path, architecture: str = "llama", *, seed: int = 0, dtype: str = "float32", **changes: Any
) -> Path:
    """A tiny model of a real architecture with random weights, and its tokenizer."""
    import torch
    import transformers

    tokenizer = toy_tokenizer(folder)
    apart = architecture in TEXT_TO_TEXT
    name, arguments = (TEXT_TO_TEXT if apart else ARCHITECTURES)[architecture]
    config = getattr(transformers, name)(
        vocab_size=tokenizer.get_vocab_size(),
        eos_token_id=0,
        pad_token_id=1,
        bos_token_id=None,
        **{**arguments, **changes},
    )
    torch.manual_seed(seed)
    kind = transformers.AutoModelForSeq2SeqLM if apart else transformers.AutoModelForCausalLM
    model = kind.from_config(config)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim >= 2:
                parameter.mul_(2.0)  # far enough from zero for differences to show
    model.to(getattr(torch, dtype)).save_pretrained(folder)
    if arguments.get("tie_word_embeddings") is False:
        _untie(folder)
    (folder / "generation_config.json").unlink(missing_ok=True)
    return folder


def _untie(folder: Path) -> None:
    """An output layer of its own, which transformers makes of the words' embeddings in every new T5."""
    import torch
    from safetensors.torch import load_file, save_file

    tensors = load_file(folder / "model.safetensors")
    tensors["lm_head.weight"] = tensors["shared.weight"].flip(0).clone() * torch.tensor(0.5)
    save_file(tensors, folder / "model.safetensors", {"format": "pt"})
    config = read_json(folder / "config.json")
    write_json(folder / "config.json", {**config, "tie_word_embeddings": False})


def attempt(
    folder: Path,
    base: Path,
    *,
    method: str = "sft",
    rows: Sequence[Row] | None = None,
    validation: Sequence[Row] | None = None,
    start: Path | None = None,
    resume_from: Sequence[Path] = (),
    parts: Sequence[Part] = (),
    number: int = 1,
    threads: int = 1,
    tokens: Path | None = None,
    kind: Literal["train", "estimate"] = "train",
    **settings: Any,
) -> AttemptFolder:
    """A training's attempt folder, or that of an estimate of one, ready for the engine."""
    folder.mkdir(parents=True, exist_ok=True)
    data = folder / "train.arrow"
    write_arrow(data, map(encode_row, toy_rows(method) if rows is None else rows))
    held = None
    if validation is not None:
        held = folder / "validation.arrow"
        write_arrow(held, map(encode_row, validation))
    spec = RunSpec.model_validate(
        {"method": method, "base_model": str(base), "data": {"train": [{"path": str(data)}]}}
    )
    filled = METHODS.load(method).Settings.model_validate(settings)
    return _prepare(
        folder,
        spec.model_copy(update={"settings": filled.model_dump()}),
        EngineInput(
            kind=kind,
            attempt=number,
            token=number,
            base_model=str(base),
            start=str(start) if start else None,
            train=[str(data)],
            validation=str(held) if held else None,
            resume_from=[str(path) for path in resume_from],
            parts=list(parts),
            threads=threads,
            tokens=str(tokens) if tokens else None,
        ),
    )


def evaluation(
    folder: Path,
    base: Path,
    rows: Sequence[Row],
    *,
    adapter: Path | None = None,
    start: Path | None = None,
    method: str = "sft",
    threads: int = 1,
    **evaluate: Any,
) -> AttemptFolder:
    """An evaluation's attempt folder, ready for the engine."""
    folder.mkdir(parents=True, exist_ok=True)
    data = folder / "held-out.arrow"
    write_arrow(data, map(encode_row, rows))
    spec = RunSpec.model_validate(
        {
            "method": method,
            "base_model": str(base),
            "data": {"train": [{"path": str(data)}]},
            "evaluate": {"dataset": {"path": str(data)}, **evaluate},
        }
    )
    given = EngineInput(
        kind="evaluate",
        attempt=1,
        token=1,
        base_model=str(base),
        adapter=str(adapter) if adapter else None,
        start=str(start) if start else None,
        evaluate=str(data),
        threads=threads,
    )
    return _prepare(folder, spec, given)


def _prepare(folder: Path, spec: RunSpec, given: EngineInput) -> AttemptFolder:
    resolved = ResolvedSpec(spec=spec, origins={}, base_model_hash="", data_hashes={}, code_version="0")
    attempt = AttemptFolder(folder)
    attempt.prepare(EngineSpec(run="run_toy", resolved=resolved).model_dump(), given.model_dump())
    return attempt
