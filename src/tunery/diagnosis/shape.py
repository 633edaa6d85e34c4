"""The shape of a noisy curve: levels, trend, noise, swings. Medians throughout, so that single points decide nothing.

It knows neither losses nor steps.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import sqrt
from statistics import fmean, median

_SIGMA = 1.4826
"""Standard deviation of a normal distribution over its median absolute deviation."""
_MEDIAN = 1.2533
"""Standard error of a median over that of a mean."""


@dataclass(frozen=True)
class Level:
    """The level of a stretch of a curve."""

    first: int
    """Index of its first point."""
    last: int
    value: float
    error: float
    """Standard error of the value, from the noise of the curve."""


def noise(values: Sequence[float]) -> float:
    """Standard deviation from point to point, whatever the trend."""
    jumps = [abs(after - before) for before, after in pairwise(values)]
    return _SIGMA * median(jumps) / sqrt(2) if jumps else 0.0


def level(values: Sequence[float], first: int, last: int, sigma: float | None = None) -> Level:
    """The level from index `first` to `last`, both included."""
    part = values[first : last + 1]
    known = noise(values) if sigma is None else sigma
    return Level(first, last, median(part), _MEDIAN * known / sqrt(len(part)))


def beginning(values: Sequence[float]) -> Level:
    """Where a curve begins: its first twentieth, three points at least."""
    return level(values, 0, max(3, len(values) // 20) - 1)


def opening(values: Sequence[float]) -> Level:
    """The first point alone, which nothing was changed before; as uncertain as a point is."""
    return Level(0, 0, values[0], noise(values))


def ending(values: Sequence[float]) -> Level:
    """Where a curve has come to: its last fifth, three points at least."""
    return level(values, len(values) - max(3, len(values) // 5), len(values) - 1)


def stretches(values: Sequence[float], count: int, fewest: int = 3) -> list[Level]:
    """The levels of so many stretches of like length, of fewer where they would hold less than `fewest` points."""
    count = max(1, min(count, len(values) // fewest))
    sigma = noise(values)
    borders = [number * len(values) // count for number in range(count + 1)]
    return [level(values, first, after - 1, sigma) for first, after in pairwise(borders)]


def differ(one: Level, other: Level) -> float:
    """By how many standard errors one level lies above the other."""
    error = sqrt(one.error**2 + other.error**2)
    gap = one.value - other.value
    return gap / error if error else (0.0 if not gap else float("inf") if gap > 0 else float("-inf"))


def falling(values: Sequence[float]) -> list[float]:
    """The nearest curve that never rises (by squares): neighbours that rise are pooled."""
    pools: list[tuple[float, int]] = []
    for value in values:
        mean, count = value, 1
        while pools and pools[-1][0] < mean:
            before, weight = pools.pop()
            mean = (before * weight + mean * count) / (weight + count)
            count += weight
        pools.append((mean, count))
    return [mean for mean, count in pools for _ in range(count)]


def swing(values: Sequence[float], longest: int) -> tuple[float, int]:
    """The strongest negative correlation of a curve with itself, and at which distance: half a period.

    Independent noise gives about 0, a pure wave -1. Distances up to `longest` are looked at.
    """
    mean = fmean(values)
    around = [value - mean for value in values]
    power = sum(value * value for value in around)
    if not power:
        return 0.0, 1
    found = []
    for lag in range(1, longest + 1):
        pairs = zip(around, around[lag:], strict=False)
        share = len(around) / (len(around) - lag)
        found.append((share * sum(a * b for a, b in pairs) / power, lag))
    return min(found)


def spread(values: Sequence[float]) -> float:
    """Standard deviation around the median, outliers aside."""
    centre = median(values)
    return _SIGMA * median([abs(value - centre) for value in values])
