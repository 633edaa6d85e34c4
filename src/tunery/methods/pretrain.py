"""Continued pretraining: the model learns every token of plain text."""

from collections.abc import Iterator
from typing import Any

from tunery.data.rows import Row, Text
from tunery.methods.point import Example, Loss, Need, Policy, Renderer, of_words
from tunery.schemas.check import RowKind
from tunery.schemas.settings import Preset, TrainingSettings

API_VERSION = 1
TITLE = "Pretraining"
HELP = "Learns the language and facts of a field from plain text. Answers get worse unless you fine-tune after it."
TAKES: frozenset[RowKind] = frozenset({"text"})
NEEDS: frozenset[Need] = frozenset()


class Settings(TrainingSettings):
    """No more than every method has."""


def recommended(finetuning_type: str) -> Preset:
    """Values that take in a text without forgetting everything else."""
    common = {
        "epochs": 2,
        "batch_size": 4,
        "gradient_accumulation_steps": 1,
        "packing": True,
        "max_sequence_length": 1024,
        "lr_scheduler": "cosine",
        "warmup_ratio": 0.05,
    }
    if finetuning_type == "full":
        return {**common, "learning_rate": 1e-4, "weight_decay": 0.1}
    return {**common, "learning_rate": 3e-4, "lora_rank": 32, "lora_alpha": 64, "lora_dropout": 0.0}


def examples(row: Row, renderer: Renderer, settings: TrainingSettings) -> Iterator[Example]:
    """As many examples as the text needs."""
    assert isinstance(row, Text)
    yield from renderer.text(row.text, settings.max_sequence_length)


def loss(settings: TrainingSettings, policy: Policy, batch: Any) -> Loss:
    """Mean over all tokens but each text's first of their negative log-likelihood."""
    return of_words(policy, batch)
