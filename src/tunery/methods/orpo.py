"""Odds-ratio preference optimisation: supervised fine-tuning and preference in one, without a reference."""

from collections.abc import Iterator

from tunery.data.rows import Preference, Row
from tunery.methods.point import Batch, Example, Loss, Need, Policy, Renderer, answers, rewards
from tunery.schemas.check import RowKind
from tunery.schemas.settings import Preset, TrainingSettings, setting

API_VERSION = 1
TITLE = "ORPO"
HELP = (
    "Learns the better answers and, at the same time, to prefer them to the worse ones. For a base model that "
    "hasn't been fine-tuned. Of ranked answers, it uses the first and the last."
)
TAKES: frozenset[RowKind] = frozenset({"preference"})
NEEDS: frozenset[Need] = frozenset()
ONE_EXAMPLE = True


class Settings(TrainingSettings):
    """What every method has, and how preferences pull."""

    beta: float = setting(
        0.1,
        "Weight of the preference loss relative to learning the better answer.",
        range=(0.01, 1.0),
        gt=0,
        group="basic",
    )


def recommended(finetuning_type: str) -> Preset:
    """Values that learn the answers and the preference."""
    common = {
        "epochs": 3,
        "batch_size": 4,
        "gradient_accumulation_steps": 2,
        "lr_scheduler": "cosine",
        "warmup_ratio": 0.1,
        "max_sequence_length": 1024,
    }
    if finetuning_type == "full":
        return {**common, "learning_rate": 1e-5}
    return {**common, "learning_rate": 8e-5, "lora_rank": 16, "lora_alpha": 32, "lora_dropout": 0.05}


def examples(row: Row, renderer: Renderer, settings: Settings) -> Iterator[Example]:
    """One question with its best and its worst answer; the question is learnt too."""
    assert isinstance(row, Preference)
    if found := answers(row, renderer, settings.max_sequence_length, learn_prompt=True, best_and_worst=True):
        yield found


def loss(settings: Settings, policy: Policy, batch: Batch) -> Loss:
    """Mean over question and better answer of their negative log-likelihood, and over the pairs of the odds' ratio."""
    import torch

    nll_N = policy.token_nll(batch)
    ones_N = nll_N.new_ones(len(nll_N))
    in_answer_N = batch.in_branch_N.to(nll_N.dtype)
    learnt_S = batch.by_sequence(nll_N)
    mean_S = -batch.by_sequence(nll_N * in_answer_N) / batch.by_sequence(in_answer_N)
    chosen, rejected = mean_S[0::2], mean_S[1::2]
    # log of p / (1 - p). expm1 keeps what is left of 1 - p where p is nearly 1; where it is 1, the odds have no end.
    sure_S = mean_S.clamp(max=-1e-6)
    odds_S = sure_S - torch.log(-torch.expm1(sure_S))
    preferred = torch.nn.functional.logsigmoid(odds_S[0::2] - odds_S[1::2])
    learnt_E = learnt_S[0::2] / batch.by_sequence(ones_N)[0::2].sum()
    answer, count = learnt_E.sum(), batch.examples
    metrics = {
        **rewards(settings.beta * chosen.detach(), settings.beta * rejected.detach()),
        "answer_loss": (float(answer.detach()) * count, count),
    }
    each_E = (count * learnt_E - settings.beta * preferred).detach()
    return Loss(
        count * answer - settings.beta * preferred.sum(), count, metrics, (each_E, each_E.new_ones(count))
    )
