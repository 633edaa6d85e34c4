"""Supervised fine-tuning: the model learns the assistant's turns of conversations."""

from collections.abc import Iterator
from typing import Any

from tunery.data.rows import Conversation, Row
from tunery.methods.point import Example, Loss, Need, Policy, Renderer, of_words
from tunery.schemas.check import RowKind
from tunery.schemas.settings import Preset, TrainingSettings, setting

API_VERSION = 1
TITLE = "Supervised fine-tuning"
HELP = "Learns to answer as the assistant does in your conversations. The usual first choice."
TAKES: frozenset[RowKind] = frozenset({"conversation"})
NEEDS: frozenset[Need] = frozenset()
ONE_EXAMPLE = True


class Settings(TrainingSettings):
    """What conversations allow beside what every method has."""

    pseudo_multi_turn_probability: float = setting(
        0.0,
        "Probability that a single-turn row is joined to the one before it, to train on longer conversations; "
        "joined rows stay within max_sequence_length.",
        ge=0,
        le=1,
        group="data",
    )


def recommended(finetuning_type: str) -> Preset:
    """Values that learn most tasks of a few hundred to a few thousand rows."""
    common = {"epochs": 3, "batch_size": 8, "gradient_accumulation_steps": 1, "lr_scheduler": "cosine"}
    if finetuning_type == "full":
        return {**common, "learning_rate": 1e-4, "warmup_ratio": 0.05, "weight_decay": 0.01}
    return {
        **common,
        "learning_rate": 4e-4,
        "warmup_ratio": 0.03,
        "lora_rank": 16,
        "lora_alpha": 32,
        "lora_dropout": 0.05,
    }


def examples(row: Row, renderer: Renderer, settings: TrainingSettings) -> Iterator[Example]:
    """One conversation, one example."""
    assert isinstance(row, Conversation)
    yield renderer.conversation(row, settings.max_sequence_length)


def loss(settings: TrainingSettings, policy: Policy, batch: Any) -> Loss:
    """Mean over all supervised tokens of their negative log-likelihood."""
    return of_words(policy, batch)
