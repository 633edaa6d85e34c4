"""Rows, or all of them, hold nothing to learn from: every token of theirs is masked."""

from tunery.diagnosis.findings.point import Seen
from tunery.diagnosis.history import History

API_VERSION = 1
TITLE = "No tokens to train on"
HELP = (
    "Rows without a token to train on: no answer, an answer that was cut off, or a template that marks none."
)

_SHARE = 0.02
_POINTS = 3


def look(history: History) -> Seen | None:
    if history.reason and history.reason.get("code") == "no_supervised_tokens":
        says = "No row has any tokens to train on, so training didn't start."
        return Seen("problem", says, _advice(history), 0, 0)
    values, steps = history.train.values, history.train.steps
    if len(values) >= _POINTS and not any(values) and not any(history.grad_norm.values):
        says = "The training loss is exactly 0 at every step: no token is trained on."
        return Seen("problem", says, _advice(history), steps[0], steps[-1])
    dropped, rows = history.counts.get("dropped_rows", 0), history.counts.get("rows", 0)
    if not rows or dropped < max(1, _SHARE * rows):
        return None
    return Seen(
        "problem" if dropped > rows / 2 else "warning",
        "{dropped} of {all} rows hold nothing to learn from and are left out.",
        _advice(history),
        0,
        steps[-1] if steps else 0,
        values={"dropped": dropped, "all": rows, "cut": history.counts.get("cut_rows", 0)},
    )


def _advice(history: History) -> list[str]:
    length = history.settings.get("max_sequence_length")
    short = (
        f"Raise max_sequence_length ({length:,} now): "
        if isinstance(length, int)
        else "Raise max_sequence_length: "
    )
    return [
        "Look at some rows as the model sees them; the text it trains on is marked there.",
        f"{short}where a question fills it, the answer behind it is cut away.",
        "Check that every row ends with an answer that isn't empty.",
    ]
