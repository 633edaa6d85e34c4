"""The training loss swings up and down in waves that are wider than its noise."""

from statistics import median

from tunery.diagnosis.findings.point import Seen
from tunery.diagnosis.history import History
from tunery.diagnosis.shape import falling, spread, swing

API_VERSION = 1
TITLE = "Oscillation"
HELP = "The loss goes up and down by a tenth of its level or more: steps are too large, or batches differ too much."

_FEWEST = 40
_MOST = 600
_AGAINST = -0.6
"""Noise alone stays near 0; of two batches that take turns at random, -0.5."""
_WIDE = 0.1
_WAVES = 3


def look(history: History) -> Seen | None:
    if _waves_by_plan(history):
        return None
    values, steps = _coarse(history)
    begin = len(values) // 10
    values, steps = values[begin:], steps[begin:]
    if len(values) < _FEWEST:
        return None
    trend = falling(values)
    around = [value - base for value, base in zip(values, trend, strict=True)]
    usual = median(values)
    width = spread(around)
    against, half = swing(around, len(values) // (2 * _WAVES))
    if usual <= 0 or width < _WIDE * usual or against > _AGAINST:
        return None
    period = 2 * half * max(1, round((steps[-1] - steps[0]) / (len(steps) - 1)))
    return Seen(
        "warning",
        "The training loss oscillates around {usual} by about {percent} %, with a period of about {period} steps.",
        [
            "Lower learning_rate to a half or a third.",
            "Use more rows per step: raise gradient_accumulation_steps or batch_size.",
            "If several datasets are mixed, check whether their losses differ a lot.",
        ],
        steps[0],
        steps[-1],
        values={"usual": usual, "percent": 100 * width / usual, "period": period, "correlation": against},
    )


def _waves_by_plan(history: History) -> bool:
    """The learning rate itself goes up again after it fell, so the loss may follow it."""
    rates = history.learning_rate.values
    peak = max(rates, default=0.0)
    lowest = peak
    passed = False
    for rate in rates:
        passed = passed or rate >= 0.99 * peak
        if passed:
            lowest = min(lowest, rate)
            if rate > lowest + 0.1 * peak:
                return True
    return False


def _coarse(history: History) -> tuple[tuple[float, ...], tuple[int, ...]]:
    """Means of neighbours where there are very many points."""
    values, steps = history.train.values, history.train.steps
    width = -(-len(values) // _MOST)
    if width <= 1:
        return values, steps
    starts = range(0, len(values) - width + 1, width)
    return tuple(sum(values[at : at + width]) / width for at in starts), tuple(steps[at] for at in starts)
