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


def memory_of(peak_mb: float) -> Band:
    """The peak of a training whose longest batch needed so much; saving a checkpoint may need a little more."""
    return Band(value=peak_mb, low=peak_mb * (1 - _MEMORY_BELOW), high=peak_mb * (1 + _MEMORY_ABOVE))


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
