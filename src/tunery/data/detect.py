"""Which format records are in, by their content, with the reason to show."""

from collections import Counter
from collections.abc import Sequence

from tunery.core.errors import Problem, Where
from tunery.data.formats.point import FORMATS
from tunery.data.names import SHOWN, columns_of

SAMPLE = 100
"""So many records vote."""


def detect_format(values: Sequence[object], path: str) -> tuple[str, str]:
    """(format, reason): the format that recognises most of the records. Raises Problem `format_unknown`."""
    votes: Counter[str] = Counter()
    reasons: dict[str, str] = {}
    for name, format in FORMATS.all():
        for value in values:
            reason = format.recognise(value)
            if reason is not None:
                votes[name] += 1
                reasons.setdefault(name, reason)
    if not votes:
        raise Problem(
            "format_unknown",
            where=Where(file=path),
            path=path,
            detail=_what_was_found(values),
            fields=columns_of(values)[:SHOWN],
            known=", ".join(FORMATS.names()),
        )
    best, count = min(votes.items(), key=lambda vote: (-vote[1], vote[0]))
    all_of = "the first record" if len(values) == 1 else f"{count} of the first {len(values)} records"
    return best, f"{reasons[best]} ({all_of})"


def _what_was_found(values: Sequence[object]) -> str:
    if not values:
        return "no record could be read"
    first = next((value for value in values if isinstance(value, dict)), None)
    if first is None:
        return "the records have no named fields"
    return "the records have the fields " + ", ".join(sorted(str(key) for key in first)[:20])
