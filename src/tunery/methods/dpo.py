"""Direct preference optimisation: better answers become likelier than worse ones, measured from the model as it was."""

from collections.abc import Iterator
from typing import Literal

from tunery.data.rows import Preference, Row
from tunery.methods.point import Batch, Example, Loss, Need, Policy, Renderer, answers, of_rows, rewards
from tunery.schemas.check import RowKind
from tunery.schemas.settings import Preset, TrainingSettings, setting

API_VERSION = 1
TITLE = "DPO"
HELP = (
    "Learns preferences from pairs of a better and a worse answer. For a model that answers well already, best "
    "after supervised fine-tuning. Of ranked answers, it uses the first and the last."
)
TAKES: frozenset[RowKind] = frozenset({"preference"})
NEEDS: frozenset[Need] = frozenset({"reference"})
ONE_EXAMPLE = True


class Settings(TrainingSettings):
    """What every method has, and how preferences pull."""

    beta: float = setting(
        0.1,
        "How strongly the model is kept close to where it started; smaller values let it move further.",
        range=(0.01, 1.0),
        gt=0,
        group="basic",
    )
    loss_type: Literal["sigmoid", "ipo"] = setting(
        "sigmoid",
        "sigmoid: the standard DPO loss. ipo: stops pushing once the margin per token is 1 / (2 × beta), for few or "
        "noisy pairs.",
        group="basic",
    )


def recommended(finetuning_type: str) -> Preset:
    """Values that move preferences without spoiling the answers."""
    common = {
        "epochs": 2,
        "batch_size": 4,
        "gradient_accumulation_steps": 2,
        "lr_scheduler": "cosine",
        "warmup_ratio": 0.1,
        "max_sequence_length": 1024,
    }
    if finetuning_type == "full":
        return {**common, "learning_rate": 1e-5}
    return {**common, "learning_rate": 1e-5, "lora_rank": 16, "lora_alpha": 32, "lora_dropout": 0.05}


def examples(row: Row, renderer: Renderer, settings: Settings) -> Iterator[Example]:
    """One question with its best and its worst answer."""
    assert isinstance(row, Preference)
    if found := answers(row, renderer, settings.max_sequence_length, best_and_worst=True):
        yield found


def loss(settings: Settings, policy: Policy, batch: Batch) -> Loss:
    """Mean over the pairs of how far the better answer's gain in likelihood lies behind what is wanted."""
    from torch.nn.functional import logsigmoid

    nll_N = policy.token_nll(batch)
    gain_S = -batch.by_sequence(nll_N) - policy.reference(batch)
    chosen, rejected = gain_S[0::2], gain_S[1::2]
    metrics = rewards(settings.beta * chosen.detach(), settings.beta * rejected.detach())
    if settings.loss_type == "sigmoid":
        return of_rows(-logsigmoid(settings.beta * (chosen - rejected)), metrics)
    length_S = batch.by_sequence(nll_N.new_ones(len(nll_N)))
    margin = chosen / length_S[0::2] - rejected / length_S[1::2]
    return of_rows((margin - 1 / (2 * settings.beta)) ** 2, metrics)
