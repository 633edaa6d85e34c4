"""The training loss fell and then stays where it is, while the learning rate is still high enough to move it."""

from statistics import median

from tunery.diagnosis.findings.point import Seen
from tunery.diagnosis.history import History
from tunery.diagnosis.shape import beginning, differ, ending, stretches

API_VERSION = 1
TITLE = "Plateau"
HELP = "For half of the training the loss doesn't move, although the learning rate stays near its peak."

_FEWEST = 40
_STRETCHES = 10
_NEAR = 0.02
_FELL = 0.1
_RATE = 0.75


def look(history: History) -> Seen | None:
    values, steps = history.train.values, history.train.steps
    if len(values) < _FEWEST or history.done < 0.5:
        return None
    first, last = beginning(values), ending(values)
    if first.value <= 0 or (first.value - last.value) / first.value < _FELL:
        return None
    parts = stretches(values, _STRETCHES)
    flat = len(parts)
    for at in range(len(parts) - 1, -1, -1):
        gap = abs(parts[at].value - last.value)
        if gap > _NEAR * last.value and abs(differ(parts[at], last)) > 2:
            break
        if parts[at].error > _NEAR * last.value:
            return None  # too noisy to tell flat from falling
        flat = at
    if flat == len(parts):
        return None
    begun = steps[parts[flat].first]
    if steps[-1] - begun < (history.steps or steps[-1]) / 2:
        return None
    rates = [
        rate
        for step, rate in zip(history.learning_rate.steps, history.learning_rate.values, strict=True)
        if step >= begun
    ]
    if not rates or median(rates) < _RATE * max(history.learning_rate.values):
        return None
    return Seen(
        "hint",
        "The training loss has stayed at about {level} since step {first_step}.",
        [
            "If the model is good enough there, train less: fewer epochs, or early_stopping with eval_steps.",
            "To keep improving, let the learning rate fall (lr_scheduler cosine or linear), or raise it if it is low.",
            "The model may have learnt all it can from these rows: more, or more varied, rows would help.",
        ],
        begun,
        steps[-1],
        values={"level": last.value, "share": (len(parts) - flat) / len(parts)},
    )
