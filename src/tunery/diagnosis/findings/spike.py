"""Single steps whose training loss leaps up and comes back."""

from statistics import median

from tunery.diagnosis.findings.point import Seen
from tunery.diagnosis.history import History
from tunery.diagnosis.shape import noise, spread

API_VERSION = 1
TITLE = "Spike"
HELP = (
    "The loss of a step is far above those around it (by ten times their noise and by half), and comes back."
)

_AROUND = 15
_BEFORE, _AFTER = 5, 3
_NOISES = 10
_HALF = 0.5
_MANY = 3
_SHOWN = 20


def look(history: History) -> Seen | None:
    values, steps = history.train.values, history.train.steps
    found = [at for at in range(_BEFORE, len(values) - _AFTER) if _leaps(values, at)]
    if not found:
        return None
    highest = max(found, key=values.__getitem__)
    usual = _usual(values, highest)
    marked = [steps[at] for at in found[:_SHOWN]]
    rows = sorted({row for step in marked for row in history.standing_out.get(step, ())})
    figures = {"count": len(found), "highest": values[highest], "usual": usual, "at": steps[highest]}
    norm = history.grad_norm.at(steps[highest])
    if norm is not None:
        figures["grad_norm"] = norm
    many = len(found) >= _MANY
    return Seen(
        "warning" if many else "hint",
        "The training loss spiked {count} times; at step {at} to {highest}, from around {usual}."
        if len(found) > 1
        else "At step {at} the training loss leapt to {highest}, where {usual} was usual, and came back.",
        [
            "Look at the rows named here; one that is broken, empty of sense or in another language does this."
            if rows
            else "Look for broken rows: the statistics of the dataset show very long, empty and repeated ones.",
            "Where there are many spikes, lower learning_rate or max_grad_norm, or put more rows in a step.",
        ],
        marked[0],
        marked[-1],
        values=figures,
        steps=marked,
        rows=rows,
    )


def _leaps(values: tuple[float, ...], at: int) -> bool:
    """Far above its neighbours on both sides, so that neither a steep beginning nor a rise for good counts."""
    before = values[max(0, at - _AROUND) : at]
    if values[at] < (1 + _HALF) * median(before):
        return False
    after = values[at + 1 : at + 1 + _AROUND]
    usual = max(median(before), median(after))
    sigma = max(spread([*before, *after]), noise([*before, *after]))
    return (
        values[at] - usual > max(_NOISES * sigma, _HALF * usual)
        and min(after[:_AFTER]) < (usual + values[at]) / 2
    )


def _usual(values: tuple[float, ...], at: int) -> float:
    return median([*values[max(0, at - _AROUND) : at], *values[at + 1 : at + 1 + _AROUND]])
