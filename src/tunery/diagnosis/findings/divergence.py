"""The training loss rises and stays up, or is no number any more."""

from tunery.diagnosis.findings.point import Seen
from tunery.diagnosis.history import History
from tunery.diagnosis.shape import differ, opening, stretches

API_VERSION = 1
TITLE = "Divergence"
HELP = "The loss became infinite or NaN, or ends well above its lowest level: the model is diverging."

_FEWEST = 10
_STRETCHES = 8
_RISE = 0.25
_SURE = 4.0
_ADVICE = (
    "Lower learning_rate to a third, and set warmup_ratio to 0.05.",
    "Keep max_grad_norm at 1 or lower, so that no single batch changes the model much.",
    "Checkpoints up to step {first_step} are from before: publish one of them, or start a new run.",
)


def look(history: History) -> Seen | None:
    if history.reason and history.reason.get("code") == "loss_not_finite":
        return _not_finite(history, history.reason.get("params") or {})
    values, steps = history.train.values, history.train.steps
    if len(values) < _FEWEST:
        return None
    parts = stretches(values, _STRETCHES)
    lowest = min(opening(values), *parts, key=lambda part: part.value)
    after = [part for part in parts if part.first > lowest.first]
    size = max(lowest.value, 0.1 * parts[0].value, 1e-9)
    rises = [part.value - lowest.value for part in after]
    if not rises or rises[-1] < _RISE * size or differ(after[-1], lowest) < _SURE:
        return None
    if len(after) > 1 and rises[-2] < 0.3 * rises[-1] and rises[-1] < 2 * size:
        return None  # only the newest stretch is up: it may be a spike
    return Seen(
        "problem",
        "The training loss rose from {lowest} at step {first_step} to {last} and stays there.",
        _ADVICE,
        steps[lowest.last],
        steps[-1],
        values={"lowest": lowest.value, "last": after[-1].value},
        steps=[steps[lowest.last]],
    )


def _not_finite(history: History, params: dict[str, object]) -> Seen:
    last = history.train.steps[-1] if history.train.steps else 0
    step = int(str(params.get("step", last + 1)))
    rows = [int(row) for row in str(params.get("rows", "")).split(",") if row.strip().isdigit()]
    return Seen(
        "problem",
        "At step {last_step} the loss or its gradient became NaN or infinite, and training stopped.",
        ["Check the rows listed here: very long or nonsensical rows can cause this.", *_ADVICE],
        last,
        step,
        steps=[step],
        rows=rows,
    )
