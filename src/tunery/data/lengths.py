"""How many rows are how long: a histogram that never grows beyond some ten thousand numbers.

Lengths up to `EXACT` are counted one by one; above, lengths that agree in their first nine bits share a count,
so that what is said of them is right to 0.4 %. It doesn't know what is measured.
"""

from collections.abc import Iterable

from tunery.schemas.statistics import Bar, CutShare, LengthSummary

EXACT = 1 << 16
_BITS = 9
_BARS = 24
USUAL = (128, 256, 512, 1024, 2048, 4096, 8192)
"""Lengths that people cut at."""


class Lengths:
    """Add lengths, then ask."""

    def __init__(self, pairs: Iterable[tuple[int, int]] = ()) -> None:
        self._rows: dict[int, int] = dict(pairs)
        self._sum = 0

    def add(self, length: int) -> None:
        self._sum += length
        if length > EXACT:
            shift = length.bit_length() - _BITS
            length = length >> shift << shift
        self._rows[length] = self._rows.get(length, 0) + 1

    def pairs(self) -> list[tuple[int, int]]:
        """[(length, rows), …], rising: everything there is to keep."""
        return sorted(self._rows.items())

    def summary(self) -> LengthSummary:
        """What people want to see of it."""
        pairs = self.pairs()
        rows = sum(count for _, count in pairs)
        return LengthSummary(
            total=self._sum,
            mean=self._sum / rows if rows else 0.0,
            shortest=pairs[0][0] if pairs else 0,
            median=_at(pairs, rows, 0.5),
            p90=_at(pairs, rows, 0.9),
            p99=_at(pairs, rows, 0.99),
            longest=pairs[-1][0] if pairs else 0,
            bars=_bars(pairs, rows),
            cuts=[cut_at(pairs, length) for length in USUAL],
            exact_up_to=EXACT,
        )


def cut_at(pairs: Iterable[tuple[int, int]], length: int) -> CutShare:
    """How many rows are longer than `length`. Exact up to `EXACT`; above, rows within 0.4 % of it may be left out."""
    rows = longer = 0
    for value, count in pairs:
        rows += count
        longer += count if value > length else 0
    return CutShare(length=length, rows=longer, share=longer / rows if rows else 0.0, exact=length <= EXACT)


def _at(pairs: list[tuple[int, int]], rows: int, share: float) -> int:
    """The length that this share of the rows doesn't exceed."""
    seen = 0
    for value, count in pairs:
        seen += count
        if seen >= rows * share:
            return value
    return 0


def _bars(pairs: list[tuple[int, int]], rows: int) -> list[Bar]:
    """Bars of equal width for nearly all rows, and one for the few that are far longer."""
    if not pairs:
        return []
    first, last = pairs[0][0], pairs[-1][0]
    reach = _at(pairs, rows, 0.99)
    width = _round_up((reach - first) // _BARS + 1)
    start = first // width * width
    counts: dict[int, int] = {}
    for value, count in pairs:
        place = (value - start) // width if value <= reach else _BARS + 1
        counts[place] = counts.get(place, 0) + count
    highest = max(place for place in counts if place <= _BARS)
    bars = [
        Bar(low=start + place * width, high=start + (place + 1) * width - 1, rows=counts.get(place, 0))
        for place in range(highest + 1)
    ]
    if _BARS + 1 in counts:
        bars[-1].high = reach
        bars.append(Bar(low=reach + 1, high=last, rows=counts[_BARS + 1]))
    return bars


def _round_up(width: int) -> int:
    """The next of 1, 2, 5, 10, 20, 50 …"""
    size = 1
    while True:
        for step in (1, 2, 5):
            if step * size >= width:
                return step * size
        size *= 10
