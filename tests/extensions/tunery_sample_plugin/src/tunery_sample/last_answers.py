"""Fine-tuning on the last answers of each conversation; earlier ones are only read."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from tunery.data.rows import Conversation, Row
from tunery.methods.point import Example, Loss, Need, Policy, Renderer
from tunery.schemas.check import RowKind
from tunery.schemas.settings import Preset, TrainingSettings, setting

API_VERSION = 1
TITLE = "Last answers"
HELP = (
    "Learns only the last answers of each conversation, for data where earlier ones are no example to follow."
)
TAKES: frozenset[RowKind] = frozenset({"conversation"})
NEEDS: frozenset[Need] = frozenset()


class Settings(TrainingSettings):
    """What every method has, and how many answers are learnt."""

    answers_learnt: int = setting(
        1, "How many answers, counted from the end, are trained on.", range=(1, 10), ge=1, group="data"
    )


def recommended(finetuning_type: str) -> Preset:
    """Values that work for most data."""
    return {"learning_rate": 4e-4 if finetuning_type == "lora" else 1e-4, "epochs": 3, "batch_size": 8}


def examples(row: Row, renderer: Renderer, settings: Settings) -> Iterator[Example]:
    """One conversation, one example; earlier answers stay in it as context."""
    assert isinstance(row, Conversation)
    example = renderer.conversation(row, settings.max_sequence_length)
    yield replace(example, supervised=_last_stretches(example.supervised, settings.answers_learnt))


def loss(settings: Settings, policy: Policy, batch: Any) -> Loss:
    """Mean over all supervised tokens of their negative log-likelihood."""
    return Loss(policy.nll(batch), batch.supervised)


def _last_stretches(supervised: Sequence[bool], count: int) -> list[bool]:
    """Only the last `count` unbroken stretches of True."""
    kept = list(supervised)
    stretches = 0
    for place in range(len(kept) - 1, -1, -1):
        if kept[place] and (place + 1 == len(kept) or not supervised[place + 1]):
            stretches += 1
        kept[place] = kept[place] and stretches <= count
    return kept
