"""The training loss hardly falls, or falls so slowly that the end of the training cut it off."""

from tunery.diagnosis.findings.point import Seen
from tunery.diagnosis.history import History
from tunery.diagnosis.shape import Level, beginning, differ, ending, level, stretches

API_VERSION = 1
TITLE = "Under-fitting"
HELP = "The loss hardly falls (under 3 %), or by under 15 % and still as fast at the end as before: little is learnt."

_FEWEST = 20
_FLAT = 0.03
_SLOW = 0.15
_SURE = 4.0
_MAYBE = 1.5
_MOST_DOUBT = 0.1
_KNOWN_ALREADY = 0.5
"""Nats a token; a model that begins below has little left to learn."""


def look(history: History) -> Seen | None:
    values = history.train.values
    if len(values) < _FEWEST or history.done < 0.5:
        return None
    first, last = beginning(values), ending(values)
    if first.value <= 0 or (history.words and first.value < _KNOWN_ALREADY):
        return None
    fall = (first.value - last.value) / first.value
    span = (history.train.steps[0], history.train.steps[-1])
    figures = {"first": first.value, "last": last.value, "percent": 100 * fall}
    if _flat(values, last) and abs(differ(first, last)) < _MAYBE:
        says = "The training loss hardly moves: {first} at the beginning, {last} now."
        return Seen("warning", says, _advice(history), *span, values=figures)
    middle = level(values, len(values) * 2 // 5, len(values) * 3 // 5)
    steady = middle.value - last.value >= 0.35 * (first.value - last.value)
    if 0 < fall < _SLOW and history.done >= 0.9 and steady and differ(middle, last) > _SURE:
        says = (
            "The training loss falls slowly, from {first} to {last} ({percent} %), and was still falling when "
            "the training ended."
        )
        return Seen("hint", says, _advice(history), *span, values=figures)
    return None


def _flat(values: tuple[float, ...], last: Level) -> bool:
    """Both halves lie on one level, the first fifth too, and the noise is small enough to say so."""
    early, late = stretches(values, 2)
    if stretches(values, 5)[0].value > (1 + 2 * _FLAT) * last.value:
        return False
    doubt = 2 * (early.error**2 + late.error**2) ** 0.5 / early.value
    return abs(early.value - late.value) < _FLAT * early.value and doubt < _MOST_DOUBT


def _advice(history: History) -> list[str]:
    rate = history.settings.get("learning_rate")
    advice = [
        f"Raise learning_rate: {rate:g} is low here; try 3 to 10 times as much."
        if rate
        else "Raise learning_rate 3 to 10 times.",
        "Train for more epochs.",
    ]
    if history.settings.get("finetuning_type") == "lora":
        advice.append("Give the adapter more room: a higher lora_rank, or finetuning_type full.")
    return [
        *advice,
        "Look at some rows as the model sees them: is the answer there, and does it follow from the question?",
    ]
