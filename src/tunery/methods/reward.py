"""Reward model: learns to give an answer a number, higher the better it is."""

from collections.abc import Iterator
from typing import Any

from tunery.data.rows import Preference, Row
from tunery.methods.point import Batch, Example, Loss, Need, Policy, Renderer, answers, of_rows
from tunery.schemas.check import RowKind
from tunery.schemas.settings import Preset, TrainingSettings, setting

API_VERSION = 1
TITLE = "Reward model"
HELP = (
    "Learns from ranked answers to score new ones. The result gives a number and writes no text: it can't be chatted "
    "with, and is for choosing between answers."
)
TAKES: frozenset[RowKind] = frozenset({"preference"})
NEEDS: frozenset[Need] = frozenset({"score"})
ONE_EXAMPLE = True


class Settings(TrainingSettings):
    """What every method has, and where scores lie."""

    eval_samples: int = setting(0, "Always 0: a reward model writes no text.", ge=0, le=0, group="validation")
    center_rewards: float = setting(
        0.0, "Penalty that pulls scores towards 0; 0 = none, 0.01 is typical.", range=(0.0, 1.0), ge=0
    )


def recommended(finetuning_type: str) -> Preset:
    """Values that learn a ranking without learning it by heart."""
    common = {
        "epochs": 1,
        "batch_size": 8,
        "gradient_accumulation_steps": 1,
        "lr_scheduler": "cosine",
        "warmup_ratio": 0.05,
        "max_sequence_length": 1024,
    }
    if finetuning_type == "full":
        return {**common, "learning_rate": 1e-5}
    return {**common, "learning_rate": 1e-4, "lora_rank": 16, "lora_alpha": 32, "lora_dropout": 0.05}


def examples(row: Row, renderer: Renderer, settings: Settings) -> Iterator[Example]:
    """One question with its answers, best first. A row that is too long is left out: the end of an answer counts."""
    assert isinstance(row, Preference)
    found = answers(row, renderer, settings.max_sequence_length)
    if found and not found.cut:
        yield found


def loss(settings: Settings, policy: Policy, batch: Batch) -> Loss:
    """Mean over the rows of the mean over their pairs of how improbable it is, by the scores, that the better wins."""
    import torch
    from torch.nn.functional import logsigmoid

    scores_S = policy.scores(batch)
    losses: list[Any] = []
    right, pairs, margins = 0, 0, 0.0
    for ranked in scores_S.split(list(batch.branches)):
        first, second = _pairs(len(ranked))
        better, worse = ranked[first], ranked[second]
        centre = ((better + worse) ** 2).mean() if settings.center_rewards else 0.0
        losses.append(settings.center_rewards * centre - logsigmoid(better - worse).mean())
        margin = (better - worse).detach()
        right, pairs, margins = (
            right + int((margin > 0).sum()),
            pairs + len(margin),
            margins + float(margin.sum()),
        )
    metrics = {
        "rewards/mean": (float(scores_S.detach().sum()), len(scores_S)),
        "rewards/margin": (margins, pairs),
        "rewards/accuracy": (right, pairs),
    }
    return of_rows(torch.stack(losses), metrics)


def _pairs(count: int) -> tuple[list[int], list[int]]:
    """Every better and worse one among ranked answers."""
    found = [(better, worse) for better in range(count) for worse in range(better + 1, count)]
    return [better for better, _ in found], [worse for _, worse in found]
