"""The validation loss rises while the training loss goes on falling: rows are learnt by heart."""

from tunery.diagnosis.findings.point import Seen
from tunery.diagnosis.history import History

API_VERSION = 1
TITLE = "Over-fitting"
HELP = (
    "The validation loss is 3 % or more above its lowest while the training loss is lower than it was there."
)

_FEWEST = 3
_RISE = 0.03
_AT_ONCE = 0.1


def look(history: History) -> Seen | None:
    found = history.validation
    if len(found) < _FEWEST:
        return None
    best = min(range(len(found)), key=found.values.__getitem__)
    lowest, last = found.values[best], found.values[-1]
    after = found.values[best + 1 :]
    rise = (last - lowest) / max(abs(lowest), 1e-9)
    if not after or rise < _RISE or (len(after) < 2 and rise < _AT_ONCE):
        return None
    then, now = _training_around(history, found.steps[best]), _training_around(history, found.steps[-1])
    if then is None or now is None or now >= then:
        return None
    return Seen(
        "warning",
        "Since step {first_step} the validation loss has risen from {lowest} to {last}, while the training loss falls "
        "from {then} to {now}: the model learns the rows by heart.",
        [
            "Use the model as it was around step {first_step}: publish a checkpoint from then, or train fewer epochs.",
            "Stop training automatically: early_stopping with early_stopping_mode best.",
            "More rows, or more varied ones, help most; lora_dropout, weight_decay and neftune help a little.",
        ],
        found.steps[best],
        found.steps[-1],
        values={"lowest": lowest, "last": last, "then": then, "now": now},
        steps=[found.steps[best]],
    )


def _training_around(history: History, step: int) -> float | None:
    """The mean of the training losses just before a step: a tenth of the training, five points at least."""
    upto = [value for at, value in zip(history.train.steps, history.train.values, strict=True) if at <= step]
    part = upto[-max(5, len(history.train) // 10) :]
    return sum(part) / len(part) if part else None
