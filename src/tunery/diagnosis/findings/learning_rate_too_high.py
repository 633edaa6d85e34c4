"""The training loss rises while the learning rate is high, and falls only when that has come down."""

from tunery.diagnosis.findings.point import Seen
from tunery.diagnosis.history import History
from tunery.diagnosis.shape import Level, beginning, differ, opening, stretches

API_VERSION = 1
TITLE = "Learning rate too high"
HELP = (
    "At half the peak of the learning rate or more, the loss rises by 15 % above where it began, or by a quarter above "
    "its lowest."
)

_FEWEST = 15
_STRETCHES = 20
_ABOVE_START = 0.15
_ABOVE_LOWEST = 0.25
_SURE = 4.0


def look(history: History) -> Seen | None:
    values, steps = history.train.values, history.train.steps
    peak = max(history.learning_rate.values, default=0.0)
    if not peak or len(values) < _FEWEST:
        return None
    start = min(beginning(values), opening(values), key=lambda level: level.value)
    lowest: Level | None = None
    for part in stretches(values, _STRETCHES, fewest=5):
        rate = history.learning_rate.at(steps[part.last]) or 0.0
        if part.first > start.last and rate >= 0.5 * peak:
            base = _risen(part, start, lowest)
            if base is not None:
                return _seen(history, part, base, rate)
        if lowest is None or part.value < lowest.value:
            lowest = part
    return None


def _risen(part: Level, start: Level, lowest: Level | None) -> Level | None:
    """What a level has risen above: the beginning, or the lowest level since."""
    if part.value > (1 + _ABOVE_START) * start.value and differ(part, start) > _SURE:
        return start
    if lowest is None or differ(part, lowest) <= _SURE:
        return None
    risen = part.value - lowest.value
    return lowest if risen > _ABOVE_LOWEST * max(lowest.value, 0.2 * start.value) else None


def _seen(history: History, part: Level, base: Level, rate: float) -> Seen:
    steps = history.train.steps
    gradual = bool(history.settings.get("warmup_ratio"))
    return Seen(
        "warning",
        "The training loss rose from {before} to {after} by step {last_step}, at a learning rate of {rate}.",
        [
            "Lower learning_rate to a third: {third}.",
            "Lengthen the warm-up (warmup_ratio)." if gradual else "Add a warm-up: warmup_ratio 0.05.",
            "Use more rows per step (gradient_accumulation_steps), and keep max_grad_norm at 1.",
        ],
        steps[base.first],
        steps[part.last],
        values={"before": base.value, "after": part.value, "rate": rate, "third": rate / 3},
        steps=[steps[part.first]],
    )
