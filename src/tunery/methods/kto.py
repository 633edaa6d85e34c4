"""Kahneman-Tversky optimisation: wanted answers become likelier and unwanted ones less likely, without pairs."""

from collections.abc import Iterator

from tunery.data.rows import Labelled, Row
from tunery.methods.point import Batch, Example, Loss, Need, Policy, Renderer, answers, of_rows
from tunery.schemas.check import RowKind
from tunery.schemas.settings import Preset, TrainingSettings, setting

API_VERSION = 1
TITLE = "KTO"
HELP = (
    "Learns preferences from single answers rated thumbs up or down. For feedback that doesn't come in pairs; both "
    "kinds of label must occur."
)
TAKES: frozenset[RowKind] = frozenset({"labelled"})
NEEDS: frozenset[Need] = frozenset({"reference", "mismatched"})
ONE_EXAMPLE = True


class Settings(TrainingSettings):
    """What every method has, and how labels pull."""

    batch_size: int = setting(
        4,
        "Rows per device and step; at least 2, as each answer is also tried on another row's question.",
        ge=2,
        group="basic",
    )
    eval_batch_size: int = setting(8, "Rows per validation batch.", ge=2, group="validation")
    beta: float = setting(
        0.1,
        "How strongly the model is kept close to where it started; smaller values let it move further.",
        range=(0.01, 1.0),
        gt=0,
        group="basic",
    )
    desirable_weight: float = setting(
        1.0,
        "How much wanted answers count. Where one label is rarer, raise its weight until weight × rows is alike, "
        "wanted rows at most 4/3 of the others.",
        range=(0.05, 20.0),
        gt=0,
        group="basic",
    )
    undesirable_weight: float = setting(
        1.0, "How much unwanted answers count.", range=(0.05, 20.0), gt=0, group="basic"
    )


def recommended(finetuning_type: str) -> Preset:
    """Values that move preferences without spoiling the answers."""
    common = {
        "epochs": 2,
        "batch_size": 8,
        "gradient_accumulation_steps": 1,
        "lr_scheduler": "cosine",
        "warmup_ratio": 0.1,
        "max_sequence_length": 1024,
    }
    if finetuning_type == "full":
        return {**common, "learning_rate": 1e-5}
    return {**common, "learning_rate": 1e-5, "lora_rank": 16, "lora_alpha": 32, "lora_dropout": 0.05}


def examples(row: Row, renderer: Renderer, settings: Settings) -> Iterator[Example]:
    """One question with its answer, and whether it is wanted."""
    assert isinstance(row, Labelled)
    if found := answers(row, renderer, settings.max_sequence_length):
        yield found


def loss(settings: Settings, policy: Policy, batch: Batch) -> Loss:
    """Mean over the rows of how little their gain in likelihood stands out, to the wanted side, from the usual gain.

    The usual gain, of answers to other questions, is only measured: nothing is learnt from it.
    """
    import torch

    others = batch.mismatched(settings.max_sequence_length)
    with torch.no_grad():
        drift = -others.by_sequence(policy.token_nll(others)) - policy.reference(others)
        usual = drift.mean().clamp(min=0)
    gain_S = -batch.by_sequence(policy.token_nll(batch)) - policy.reference(batch)
    wanted_S = torch.tensor([bool(label) for label in batch.labels])
    side_S = torch.where(wanted_S, 1.0, -1.0)
    weight_S = torch.where(wanted_S, settings.desirable_weight, settings.undesirable_weight)
    losses_S = weight_S * (1 - torch.sigmoid(settings.beta * side_S * (gain_S - usual)))
    reward_S = settings.beta * gain_S.detach()
    metrics = {"kl": (float(usual) * batch.examples, batch.examples)}
    for name, chosen in (("rewards/chosen", wanted_S), ("rewards/rejected", ~wanted_S)):
        if count := int(chosen.sum()):
            metrics[name] = (float(reward_S[chosen].sum()), count)
    return of_rows(losses_S, metrics)
