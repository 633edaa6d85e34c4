"""From a few measured batches to a whole training: seconds and memory, each with a band. Arithmetic only, no torch."""

from collections.abc import Sequence
from statistics import median

from tunery.schemas.estimate import Band, Probe

LEAST_BELOW, LEAST_ABOVE = 0.15, 0.3
"""Width of the band even where the probes agree: a machine has other work, a clock changes its speed."""
_SCATTERS = 3.0
_MEMORY_BELOW, _MEMORY_ABOVE = 0.1, 0.2


def seconds_of(probes: Sequence[Probe], batches: Sequence[int]) -> Band:
    """Seconds of batches of so many tokens. A batch costs something and each token of it; neither is below nothing."""
    each, token = _line(probes)
    value = sum(each + token * tokens for tokens in batches)
    off = [
        abs(one.seconds - each - token * one.tokens) / max(each + token * one.tokens, 1e-9) for one in probes
    ]
    scatter = _SCATTERS * median(off)
    return Band(
        value=value,
        low=value * (1 - min(0.9, max(LEAST_BELOW, scatter))),
        high=value * (1 + max(LEAST_ABOVE, scatter)),
    )


def memory_of(peak_mb: float, held_mb: float = 0.0, saving_mb: float = 0.0) -> Band:
    """The peak of a training: its longest batch's, or that of saving, which takes `saving_mb` beside what is held.

    What a batch gave back may serve for saving, or lie about in the wrong pieces.
    """
    value = max(peak_mb, held_mb + saving_mb)
    return Band(
        value=round(value, 1),
        low=round(value * (1 - _MEMORY_BELOW), 1),
        high=round(max(value, peak_mb + saving_mb) * (1 + _MEMORY_ABOVE), 1),
    )


def first_meetings(
    first: Sequence[Probe], later: Sequence[Probe], batches: Sequence[int], fill: int
) -> float:
    """Seconds that it takes beside, over all batches, to meet each shape for the first time.

    Matrix kernels are made for a shape when it comes; `fill`: a batch's tokens are brought to a multiple of it.
    """

    def shape(tokens: int) -> int:
        return -(-tokens // fill)

    usual: dict[int, float] = {}
    for one in later:
        usual[shape(one.tokens)] = min(one.seconds, usual.get(shape(one.tokens), one.seconds))
    more = [max(0.0, one.seconds - usual[shape(one.tokens)]) for one in first if shape(one.tokens) in usual]
    if not more:
        return 0.0
    # The very first one also pays for what is made once.
    return more[0] + median(more[1:] or more) * (len({shape(tokens) for tokens in batches}) - 1)


def _line(probes: Sequence[Probe]) -> tuple[float, float]:
    """Seconds of a batch and of a token, by least squares."""
    count = len(probes)
    tokens = sum(one.tokens for one in probes) / count
    seconds = sum(one.seconds for one in probes) / count
    spread = sum((one.tokens - tokens) ** 2 for one in probes)
    if not spread:
        return 0.0, seconds / tokens
    slope = sum((one.tokens - tokens) * (one.seconds - seconds) for one in probes) / spread
    each = seconds - slope * tokens
    if each < 0:
        return 0.0, sum(one.seconds for one in probes) / sum(one.tokens for one in probes)
    if slope < 0:
        return seconds, 0.0
    return each, slope
