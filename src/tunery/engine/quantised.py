"""A base kept in 8 or 4 bits while an adapter trains on it (QLoRA), through bitsandbytes. Knows no model."""

from importlib.util import find_spec

import torch
from transformers import BitsAndBytesConfig

from tunery.core.errors import Problem
from tunery.schemas.settings import TrainingSettings

PACKAGE = "bitsandbytes"


def quantisation(settings: TrainingSettings, dtype: torch.dtype) -> BitsAndBytesConfig | None:
    """How the settings want the base's matrices kept; None where they stay as they are.

    Products are made in `dtype`. Raises Problem `missing_extra`.
    """
    if not (settings.int8_quantization or settings.nf4_quantization):
        return None
    if find_spec(PACKAGE) is None:
        raise Problem("missing_extra", package=PACKAGE, extra="quantised")
    if settings.int8_quantization:
        return BitsAndBytesConfig(load_in_8bit=True)
    return BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_compute_dtype=dtype,
        bnb_4bit_use_double_quant=True,
    )
