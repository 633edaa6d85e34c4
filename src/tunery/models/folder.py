"""Reads a model's folder without running or trusting anything in it, and without torch.

A folder is usable when config.json names a known kind of model, the weights are safetensors and the tokenizer
loads. Numbers come from the headers of the weights, never from what a file claims about itself.
"""

import hashlib
import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import orjson

from tunery.core.errors import Problem
from tunery.core.files import sha256_file
from tunery.models import catalog
from tunery.models.families.point import FAMILIES, Family

CHAT_TEMPLATE_FILE = "chat_template.jinja"
TOKENIZER_FILES = (
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    CHAT_TEMPLATE_FILE,
    "vocab.json",
    "merges.txt",
    "tokenizer.model",
    "generation_config.json",
)
"""What travels with the weights, besides config.json."""

OTHER_FAMILY = "other"
DEFAULT_LENGTH = 1024
_PICKLED = (".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle")
_NOT_WEIGHTS = ("training_args.bin", "scheduler.pt", "optimizer.pt", "rng_state.pth")
_TRAINING_STATE = frozenset({"optimizer.safetensors", "random.safetensors", "reference.safetensors"})
"""What a checkpoint holds beside the model."""
_ADAPTER_FILES = frozenset({"adapter_config.json", "adapter_model.safetensors"})
_INDEX = "model.safetensors.index.json"
_CONTEXT_KEYS = (
    "max_position_embeddings",
    "n_positions",
    "max_sequence_length",
    "seq_length",
    "n_ctx",
    "context_length",
)
_MAX_CONFIG_BYTES = 4 * 2**20
_MAX_HEADER_BYTES = 100 * 2**20
_DTYPES = {"BF16": "bfloat16", "F16": "float16", "F32": "float32"}


@dataclass(frozen=True)
class ModelFolder:
    """What a model's folder says about the model."""

    path: Path
    architecture: str
    model_type: str
    family: str
    """Name of the file in models/families."""
    parameters: int
    dtype: str
    """In which most weights are stored: bfloat16, float16 or float32."""
    bytes: int
    context: int | None
    """Longest sequence the model was made for, in tokens."""
    tokenizer_limit: int | None
    """model_max_length of the tokenizer, where it names a real one."""
    has_chat_template: bool
    names_end: bool
    """Whether its tokenizer names a token that ends a text."""
    config: Mapping[str, Any] = field(repr=False)

    @property
    def limit(self) -> int | None:
        """Longest sequence that both model and tokenizer take."""
        known = [value for value in (self.context, self.tokenizer_limit) if value is not None]
        return min(known, default=None)

    @property
    def decoder_start(self) -> int | None:
        """The token that begins what a decoder writes, in a model that has an encoder too."""
        named = (self.config.get(key) for key in ("decoder_start_token_id", "pad_token_id"))
        return next((token for token in named if isinstance(token, int)), None)

    def content_hash(self) -> str:
        """One hash over every file that makes the model what it is. Reads all weights."""
        listing = {path.name: sha256_file(path) for path in model_files(self.path)}
        return hashlib.sha256(orjson.dumps(listing, option=orjson.OPT_SORT_KEYS)).hexdigest()


def inspect_folder(path: Path) -> ModelFolder:
    """Read a model's folder.

    Raises Problem `unknown_base_model` (no such folder), `model_folder_incomplete`, `pickled_weights`
    or `remote_code`.
    """
    if not path.is_dir():
        raise Problem("unknown_base_model", name=str(path))
    config = _read_config(path)
    shards = _weights(path)
    if not shards:
        _refuse_pickles(path)
        raise Problem("model_folder_incomplete", path=str(path), detail="it contains no .safetensors file")
    _check_index(path, shards)
    counts = _count_weights(path, shards)
    tokenizer = _read_tokenizer(path)
    model_type = str(config.get("model_type", ""))
    return ModelFolder(
        path=path,
        architecture=config["architectures"][0],
        model_type=model_type,
        family=family_of(model_type),
        parameters=sum(counts.values()),
        dtype=_DTYPES.get(max(counts, key=lambda kind: counts[kind]), "bfloat16"),
        bytes=sum(shard.stat().st_size for shard in shards),
        context=_first_number(config, _CONTEXT_KEYS),
        tokenizer_limit=_real_limit(tokenizer.get("model_max_length")),
        has_chat_template=bool(tokenizer.get("chat_template")) or (path / CHAT_TEMPLATE_FILE).is_file(),
        names_end=bool(tokenizer.get("eos_token") or _special_tokens(path).get("eos_token")),
        config=config,
    )


def load_family(folder: ModelFolder) -> Family:
    """The family's own file."""
    return FAMILIES.load(folder.family)


@cache
def _families() -> dict[str, str]:
    return {kind: name for name, family in FAMILIES.all() for kind in family.MODEL_TYPES}


def family_of(model_type: str) -> str:
    """Which family's file speaks for a `model_type`; `other` where none does."""
    return _families().get(model_type, OTHER_FAMILY)


def can_chat(folder: ModelFolder, family: Family) -> bool:
    """Whether conversations can be written for it: in its own form, its family's, or a plain one that ends."""
    return folder.has_chat_template or family.CHAT_TEMPLATE is not None or folder.names_end


def template_note(folder: ModelFolder, family: Family) -> str | None:
    """What to tell of a model that brings no chat template."""
    if folder.has_chat_template or not can_chat(folder, family):
        return None
    form = "its family's" if family.CHAT_TEMPLATE else "a plain one (Human: … Assistant: …)"
    return (
        f"This base model has no chat template, so conversations are written in {form}. It is kept with the trained "
        "model, which is asked in the same form. For another one, add chat_template.jinja to the base model's folder."
    )


def layout_note(family: Family, *, packing: bool) -> str | None:
    """What to tell of a family whose rows can't be laid end to end."""
    if family.PACKED:
        return None
    if family.TEXT_TO_TEXT:
        note = (
            f"{family.TITLE} models read the prompt with an encoder and write the answer with a decoder, one row at a "
            "time. max_sequence_length holds for prompt and answer each, and of a conversation the last answer is "
            "learnt."
        )
        return f"{note} packing only decides which rows make up a step." if packing else note
    note = (
        f"{family.TITLE} models read rows one at a time, because their code can't tell where one row ends and the "
        "next begins. The result is the same; training takes longer."
    )
    return f"{note} packing only decides which rows make up a step." if packing else note


def quantisation_note(family: Family) -> str | None:
    """What to tell of a family that loses little weight by fewer bits."""
    if not family.EXPERTS:
        return None
    return (
        f"Of {family.TITLE} models only the matrices outside the experts are kept in fewer bits; the experts, most of "
        "the model, stay as they are."
    )


def sequence_limit(wanted: int, limit: int | None) -> tuple[int, str | None]:
    """The sequence length to use for the setting max_sequence_length, and a note where that isn't what was asked.

    -1 means min(1024, limit); anything else means min(wanted, limit).
    """
    if wanted == -1:
        return min(DEFAULT_LENGTH, limit or DEFAULT_LENGTH), None
    if limit is not None and wanted > limit:
        return (
            limit,
            f"max_sequence_length was lowered from {wanted} to {limit}, the longest this model takes.",
        )
    return wanted, None


def _read_config(path: Path) -> dict[str, Any]:
    file = path / "config.json"
    if not file.is_file():
        raise Problem("model_folder_incomplete", path=str(path), detail="config.json is missing")
    config = _read_json(path, file)
    successor = catalog.successor_of_family(str(config.get("model_type")))
    if successor or _wants_own_code(config):
        instead = successor or "Choose a model whose code transformers has built in."
        raise Problem("remote_code", name=path.name, instead=instead)
    architectures = config.get("architectures")
    if not (isinstance(architectures, list) and architectures and isinstance(architectures[0], str)):
        raise Problem("model_folder_incomplete", path=str(path), detail="config.json names no architecture")
    if not isinstance(config.get("model_type"), str):
        raise Problem("model_folder_incomplete", path=str(path), detail="config.json names no model_type")
    return config


def _read_tokenizer(path: Path) -> dict[str, Any]:
    """tokenizer_config.json, once tokenizer.json has proved to load."""
    file = path / "tokenizer.json"
    if not file.is_file():
        raise Problem("model_folder_incomplete", path=str(path), detail="tokenizer.json is missing")
    from tokenizers import Tokenizer

    try:
        Tokenizer.from_file(str(file))
    except Exception as error:  # the Rust side raises plain Exception
        raise Problem(
            "model_folder_incomplete", path=str(path), detail=f"tokenizer.json doesn't load: {error}"
        ) from error
    settings = path / "tokenizer_config.json"
    found = _read_json(path, settings) if settings.is_file() else {}
    if _wants_own_code(found):
        raise Problem("remote_code", name=path.name, instead="Choose a model whose tokenizer needs none.")
    return found


def _special_tokens(path: Path) -> dict[str, Any]:
    file = path / "special_tokens_map.json"
    return _read_json(path, file) if file.is_file() else {}


def _wants_own_code(document: Mapping[str, Any]) -> bool:
    return "auto_map" in document


def _read_json(path: Path, file: Path) -> dict[str, Any]:
    if file.stat().st_size > _MAX_CONFIG_BYTES:
        raise Problem("model_folder_incomplete", path=str(path), detail=f"{file.name} is larger than 4 MiB")
    try:
        # The standard reader, not orjson: tokenizer files of real models hold integers beyond 64 bits.
        value = json.loads(file.read_bytes())
    except (ValueError, RecursionError) as error:
        raise Problem(
            "model_folder_incomplete", path=str(path), detail=f"{file.name} isn't JSON: {error}"
        ) from error
    if not isinstance(value, dict):
        raise Problem("model_folder_incomplete", path=str(path), detail=f"{file.name} isn't an object")
    return value


def _refuse_pickles(path: Path) -> None:
    for file in sorted(path.iterdir()):
        if file.suffix in _PICKLED and file.name not in _NOT_WEIGHTS:
            raise Problem("pickled_weights", path=str(path), file=file.name)


def _check_index(path: Path, shards: list[Path]) -> None:
    """Every shard that the index names must be here."""
    index = path / _INDEX
    if not index.is_file():
        return
    try:
        named = set(json.loads(index.read_bytes())["weight_map"].values())
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise Problem(
            "model_folder_incomplete", path=str(path), detail="its index of weights is broken"
        ) from error
    missing = sorted(map(str, named - {shard.name for shard in shards}))
    if missing:
        raise Problem("model_folder_incomplete", path=str(path), detail=f"{missing[0]} is missing")


def _count_weights(path: Path, shards: list[Path]) -> dict[str, int]:
    """Elements by stored type, from the headers."""
    counts: dict[str, int] = {}
    for shard in shards:
        for kind, shape in _header(path, shard):
            counts[kind] = counts.get(kind, 0) + math.prod(shape)
    if not counts:
        raise Problem("model_folder_incomplete", path=str(path), detail="its weights are empty")
    return counts


def _header(path: Path, shard: Path) -> Iterator[tuple[str, list[int]]]:
    """(type, shape) of each tensor in a safetensors file; the file must be as long as the header says."""
    size = shard.stat().st_size
    try:
        with shard.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            if not 2 <= length <= min(_MAX_HEADER_BYTES, size - 8):
                raise ValueError("its header is damaged")
            header = orjson.loads(file.read(length))
        tensors = [entry for name, entry in header.items() if name != "__metadata__"]
        if max((entry["data_offsets"][1] for entry in tensors), default=0) != size - 8 - length:
            raise ValueError("it is cut off")
        for entry in tensors:
            yield str(entry["dtype"]), [int(n) for n in entry["shape"]]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise Problem(
            "model_folder_incomplete", path=str(path), detail=f"{shard.name} can't be used: {error}"
        ) from error


def _first_number(config: Mapping[str, Any], keys: tuple[str, ...]) -> int | None:
    inner = config.get("text_config")
    for source in (config, inner if isinstance(inner, dict) else {}):
        for key in keys:
            if isinstance(source.get(key), int) and source[key] > 0:
                return source[key]
    return None


def _real_limit(value: object) -> int | None:
    """Tokenizers without a limit write 10**30."""
    return value if isinstance(value, int) and 0 < value < 10**9 else None


def _weights(path: Path) -> list[Path]:
    """Files with the weights of a whole model."""
    return sorted(
        file
        for file in path.glob("*.safetensors")
        if file.name not in _TRAINING_STATE and file.name not in _ADAPTER_FILES
    )


def stored_in_fewer_bits(path: Path) -> bool:
    """Whether a model's folder says that its weights were quantised before they were stored."""
    config = path / "config.json"
    return config.is_file() and b'"quantization_config"' in config.read_bytes()


def is_adapter(path: Path) -> bool:
    """Whether a folder with a trained model holds an adapter, and not all weights."""
    return (path / "adapter_config.json").is_file()


def model_files(path: Path) -> list[Path]:
    """The files that make a folder a model or an adapter; not what a checkpoint needs to train on."""
    names = {"config.json", _INDEX, *TOKENIZER_FILES, *_ADAPTER_FILES}
    return sorted(
        {*_weights(path), *(file for file in path.iterdir() if file.is_file() and file.name in names)}
    )
