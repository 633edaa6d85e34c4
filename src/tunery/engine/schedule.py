"""How the learning rate goes over a training, and when a training leads no further. Pure: it knows no torch."""

import math
from collections.abc import Sequence

from tunery.schemas.settings import TrainingSettings


def learning_rate(settings: TrainingSettings, step: int, steps: int) -> float:
    """The rate of step `step` (from 0) of `steps`: rises over the warm-up, then falls as `lr_scheduler` says."""
    peak = settings.learning_rate
    rising = round(settings.warmup_ratio * steps)
    if step < rising:
        return peak * (step + 1) / rising
    done = (step - rising) / max(1, steps - rising)
    match settings.lr_scheduler:
        case "linear":
            return peak * (1 - done)
        case "cosine":
            return peak * _cosine(2 * settings.lr_cosine_waves * done)
        case "cosine_with_restarts":
            return peak * _cosine(settings.lr_cosine_restarts * done % 1)
        case "polynomial":
            end = settings.lr_polynomial_end
            return end + (peak - end) * (1 - done) ** settings.lr_polynomial_power
        case "constant":
            return peak
        case "warmup_stable_decay":
            falling = max(1, round(settings.lr_decay_ratio * steps))
            return peak * _cosine(max(0.0, (step - (steps - falling)) / falling))


def _cosine(place: float) -> float:
    """1 at 0, 0 at 1, 1 again at 2."""
    return max(0.0, 0.5 * (1 + math.cos(math.pi * place)))


def leads_no_further(settings: TrainingSettings, values: Sequence[float]) -> bool:
    """Whether the newest of the validations' values, lower being better, end the training."""
    patience, threshold = settings.early_stopping_patience, settings.early_stopping_threshold
    if len(values) <= patience:
        return False
    newest = values[-patience:]
    if settings.early_stopping_mode == "best":
        best = min(values[:-patience])
        return all(value > best - threshold for value in newest)
    before = values[-patience - 1 : -1]
    return all(abs(now - then) <= threshold for now, then in zip(newest, before, strict=True))
