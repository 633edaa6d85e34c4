"""The training loss is so low that the answers may be known by heart, and nothing shows that they aren't."""

from tunery.diagnosis.findings.point import Seen
from tunery.diagnosis.history import History
from tunery.diagnosis.shape import beginning, ending

API_VERSION = 1
TITLE = "Very low loss"
HELP = (
    "The training loss fell to 0.3 or below, and rows apart either don't exist or have a loss half as high again: "
    "the answers may be learnt by heart. Answers of fixed form, such as JSON, go that low by right."
)

_LOW = 0.3
_FEWEST = 10
_GAP = 1.5


def look(history: History) -> Seen | None:
    values, steps = history.train.values, history.train.steps
    if not history.words or len(values) < _FEWEST:
        return None
    first, last = beginning(values), ending(values)
    if last.value > _LOW or first.value < 2 * last.value:
        return None
    apart = history.held_out_loss
    if apart is None and len(history.validation):
        apart = history.validation.values[-1]
    if apart is not None and apart <= max(_GAP * last.value, _LOW):
        return None
    reached = next(step for step, value in zip(steps, values, strict=True) if value <= _LOW)
    figures = {"last": last.value} | ({} if apart is None else {"apart": apart})
    return Seen(
        "hint" if apart is None else "warning",
        "The training loss fell to {last}, and there is no validation to show how well it does on new rows."
        if apart is None
        else "The training loss fell to {last}, while the validation loss is {apart}.",
        [
            "Set rows aside (validation_split_ratio with eval_steps) or choose held-out rows to measure that.",
            "If answers are free text, train less: fewer epochs, or a lower learning_rate.",
        ]
        if apart is None
        else [
            "Train less: fewer epochs, or early_stopping with early_stopping_mode best.",
            "More rows, or more varied ones, help most; lora_dropout, weight_decay and neftune help a little.",
        ],
        reached,
        steps[-1],
        values=figures,
    )
