"""Base models in and trained weights out: full folders by transformers, adapters in PEFT's format.

Only safetensors are read and written, and no code from a model's folder is ever run.
"""

import logging
import shutil
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import huggingface_hub.utils
import torch
import transformers
from safetensors.torch import load_file, save_file
from transformers import (
    MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING,
    AutoConfig,
    AutoModelForCausalLM,
    AutoModelForSeq2SeqLM,
    AutoModelForSequenceClassification,
    BitsAndBytesConfig,
    PreTrainedModel,
)
from transformers.pytorch_utils import Conv1D

from tunery.core.errors import Problem
from tunery.engine import attention
from tunery.models.families.point import Family
from tunery.models.folder import TOKENIZER_FILES, is_adapter
from tunery.schemas.settings import TrainingSettings

ADAPTER_FILE = "adapter_model.safetensors"
EXACT = ("lora_magnitude_vector",)
"""Weights of adapters that are too few to be rounded in computation: a step of theirs would be lost."""

transformers.logging.set_verbosity_error()
transformers.logging.disable_progress_bar()
huggingface_hub.utils.disable_progress_bars()
logging.getLogger("torchao").setLevel(logging.ERROR)


def load_model(
    folder: Path,
    dtype: torch.dtype,
    family: Family,
    *,
    generate: bool = False,
    scored: bool = False,
    quantisation: BitsAndBytesConfig | None = None,
) -> PreTrainedModel:
    """A language model from a local folder, in evaluation mode; perhaps with its matrices in fewer bits.

    `generate` chooses an attention that knows caches and padding over the one for training. `scored` puts a head in
    the place of the output layer that gives one number; it is new where the folder has none.
    """
    config = AutoConfig.from_pretrained(folder, trust_remote_code=False, local_files_only=True)
    _set(config, family.RUNS_WITH)
    if family.PACKED and not generate:
        config._attn_implementation = attention.NAME
    if scored:
        if family.TEXT_TO_TEXT or type(config) not in MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING:
            raise Problem("model_without_scores", model_type=config.model_type)
        config.num_labels = 1
        if config.get_text_config().pad_token_id is None:
            # transformers finds a sequence's end by it, when it loads the model to score padded batches.
            config.get_text_config().pad_token_id = _first_id(config.get_text_config().eos_token_id)
    if family.TEXT_TO_TEXT and config.decoder_start_token_id is None:
        config.decoder_start_token_id = config.pad_token_id
    kind = AutoModelForSeq2SeqLM if family.TEXT_TO_TEXT else AutoModelForCausalLM
    if scored:
        kind = AutoModelForSequenceClassification
    model = kind.from_pretrained(
        folder,
        config=config,
        dtype=dtype,
        quantization_config=quantisation,
        use_safetensors=True,
        trust_remote_code=False,
        local_files_only=True,
    )
    model.config.use_cache = generate
    return model.eval()


def load_start(
    base: Path, start: Path | None, dtype: torch.dtype, family: Family, *, scored: bool = False
) -> PreTrainedModel:
    """The whole model that a training begins with: the base, an earlier model, or the base and an earlier adapter.

    An adapter is merged in fp32, so that nothing of it is lost.
    """
    if start is None or not is_adapter(start):
        return load_model(start or base, dtype, family, scored=scored)
    merged = load_adapter(load_model(base, torch.float32, family, scored=scored), start)
    # PEFT has frozen what stands under the adapter.
    return merged.merge_and_unload().to(dtype).requires_grad_(True).eval()


def add_adapter(
    model: PreTrainedModel,
    settings: TrainingSettings,
    family: Family,
    base: str,
    *,
    scored: bool = False,
) -> Any:
    """Freeze the model and put new LoRA matrices beside its layers; returns PEFT's wrapper."""
    from peft import LoraConfig, get_peft_model

    chosen = settings.lora_target_modules
    usual = list(family.LORA_TARGETS) or "all-linear"
    config = LoraConfig(
        r=settings.lora_rank,
        lora_alpha=settings.lora_alpha,
        lora_dropout=settings.lora_dropout,
        use_rslora=settings.lora_rslora,
        use_dora=settings.lora_dora,
        target_modules=usual if chosen == "all-linear" else chosen,
        target_parameters=list(family.EXPERTS) if settings.lora_experts else None,
        # GPT-2 keeps its matrices the other way round.
        fan_in_fan_out=any(isinstance(layer, Conv1D) for layer in model.modules()),
        # With a head that gives scores goes its training: PEFT trains and stores the whole of it.
        task_type="SEQ_CLS" if scored else "SEQ_2_SEQ_LM" if family.TEXT_TO_TEXT else "CAUSAL_LM",
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # PEFT asks transformers by an old name
        wrapped = get_peft_model(model, config, autocast_adapter_dtype=False)
    wrapped.peft_config["default"].base_model_name_or_path = base
    return wrapped


def save_adapter(wrapped: Any, masters: dict[str, torch.Tensor], folder: Path, dtype: torch.dtype) -> None:
    """adapter_model.safetensors and adapter_config.json."""
    tensors = {_stored_name(name): tensor.to(dtype).contiguous() for name, tensor in masters.items()}
    save_file(
        {name: _own(tensor) for name, tensor in tensors.items()}, folder / ADAPTER_FILE, {"format": "pt"}
    )
    config = wrapped.peft_config["default"]
    training, config.inference_mode = config.inference_mode, True
    try:
        config.save_pretrained(folder)
    finally:
        config.inference_mode = training


def load_adapter_masters(folder: Path, masters: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The fp32 weights that `save_adapter` stored, by their name in the model."""
    stored = load_file(folder / ADAPTER_FILE)
    return {name: stored[_stored_name(name)] for name in masters}


def load_adapter(model: PreTrainedModel, folder: Path) -> Any:
    """A trained adapter on its base, for answering."""
    from peft import PeftModel

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        return PeftModel.from_pretrained(model, str(folder), autocast_adapter_dtype=False).eval()


def save_model(
    model: PreTrainedModel,
    masters: dict[str, torch.Tensor],
    folder: Path,
    dtype: torch.dtype,
    stored_config: Mapping[str, Any],
) -> None:
    """A folder that transformers loads as it loaded the base; trained weights come from the masters.

    `stored_config`: what of the configuration is another in a folder than in memory.
    """
    tensors: dict[str, torch.Tensor] = {}
    for name, tensor in model.state_dict().items():
        exact = masters[name] if name in masters else tensor  # noqa: SIM401 - get() loses the type
        tensors[name] = _own(exact.to(dtype) if tensor.is_floating_point() else exact)
    for copy, source in (getattr(model, "all_tied_weights_keys", None) or {}).items():
        if copy in tensors and source in tensors:
            tensors[copy] = tensors[source]
    config = model.config
    in_memory = {name: getattr(config, name) for name in ("dtype", "use_cache", *stored_config)}
    _set(config, {"dtype": dtype, "use_cache": True, **stored_config})
    try:
        model.save_pretrained(folder, state_dict=tensors)
        # transformers has written the dtype the model computes in, and would load the stored weights in it.
        config.dtype = dtype
        config.save_pretrained(folder)
    finally:
        _set(config, in_memory)


def copy_tokenizer(base: Path, folder: Path) -> None:
    """Put the base's tokenizer files beside the weights, byte for byte."""
    for name in TOKENIZER_FILES:
        if (base / name).is_file():
            shutil.copyfile(base / name, folder / name)


def _set(config: Any, values: Mapping[str, Any]) -> None:
    for name, value in values.items():
        setattr(config, name, value)


def _stored_name(name: str) -> str:
    """As PEFT names it in a file."""
    name = name.replace(".lora_magnitude_vector.default.weight", ".lora_magnitude_vector")
    for inside in (".lora_A", ".lora_B", ".modules_to_save"):
        name = name.replace(f"{inside}.default.", "." if inside == ".modules_to_save" else f"{inside}.")
    return name


def _first_id(ids: int | list[int] | None) -> int | None:
    return ids[0] if isinstance(ids, list) else ids


def _own(tensor: torch.Tensor) -> torch.Tensor:
    """The tensor with a storage of its own, as safetensors needs it."""
    whole = tensor.untyped_storage().nbytes() == tensor.numel() * tensor.element_size()
    return tensor if whole and tensor.is_contiguous() else tensor.clone(memory_format=torch.contiguous_format)
