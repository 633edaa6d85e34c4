"""Which rows of a dataset a sampling rate takes. Seeded by the dataset's content, so its place in a list is nothing.

Rate r is floor(r) whole copies and a random subset with about frac(r) of the characters. It reads no data: it is
told how long each row is.
"""

from array import array
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from math import floor
from random import Random

LOWEST_RATE, HIGHEST_RATE = 0.01, 10.0
_WINDOW = 1 << 16
_WHOLE = 1e-9
"""A fraction below this is rounding, not a wish."""


@dataclass(frozen=True)
class Sample:
    """Rows taken of one dataset, by number."""

    key: str
    """What draws from it are seeded with."""
    rows: int
    """In the dataset."""
    copies: int
    subset: Sequence[int]
    """Rows taken once more; they rise."""

    @classmethod
    def whole(cls, key: str, rows: int) -> "Sample":
        return cls(key, rows, 1, ())

    def __len__(self) -> int:
        return self.copies * self.rows + len(self.subset)

    @cached_property
    def distinct(self) -> Sequence[int]:
        """Every row that is taken, once; they rise."""
        return range(self.rows) if self.copies else self.subset

    def numbers(self) -> Iterator[int]:
        """Every row as often as it is taken: copy by copy, then the subset."""
        for _ in range(self.copies):
            yield from range(self.rows)
        yield from self.subset


def take(key: str, rows: int, rate: float, seed: int, sizes: Iterable[int]) -> Sample:
    """Sample a dataset of so many rows, which are `sizes` characters long. The sizes are read only if needed."""
    copies = floor(rate + _WHOLE)
    fraction = rate - copies
    if fraction < _WHOLE:
        return Sample(key, rows, copies, ())
    return Sample(key, rows, copies, _subset(sizes, fraction, key, seed))


def _subset(sizes: Iterable[int], fraction: float, key: str, seed: int) -> Sequence[int]:
    """Rows with about `fraction` of the characters, drawn window by window so that any number of rows fits memory.

    A row that would overshoot is taken with the probability that makes the expected sum right, so what is taken is
    never further from what is wanted than that row is long.
    """
    chosen = array("q")
    wanted = taken = 0.0
    first = 0
    stream = iter(sizes)
    while window := list(islice(stream, _WINDOW)):
        random = Random(f"sample/{seed}/{key}/{first}")
        wanted += fraction * sum(window)
        order = list(range(len(window)))
        random.shuffle(order)
        found: list[int] = []
        for number in order:
            size = max(window[number], 1)
            if taken + size > wanted and random.random() * size >= wanted - taken:
                break
            found.append(first + number)
            taken += size
        chosen.extend(sorted(found))
        first += len(window)
    return chosen


def apportion(total: int, sizes: Sequence[int], keys: Sequence[str]) -> list[int]:
    """Split `total` in proportion to `sizes`, none above its size; ties go by key, not by place."""
    everything = sum(sizes)
    if everything == 0:
        return [0] * len(sizes)
    total = min(total, everything)
    quotas = [total * size // everything for size in sizes]
    rest = sorted(range(len(sizes)), key=lambda at: (-(total * sizes[at] % everything), keys[at], at))
    for at in rest[: total - sum(quotas)]:
        quotas[at] += 1
    return quotas


def rates_of_shares(
    characters: Sequence[int], rates: Sequence[float], shares: Sequence[float | None]
) -> list[float]:
    """Rates that give the wished shares (percentages) of the characters; where none is wished, the rate stays.

    With a share for every dataset, the characters together stay what they are without sampling.
    """
    wished = sum(share for share in shares if share is not None) / 100
    if all(share is not None for share in shares):
        total = float(sum(characters))
    else:
        others = sum(c * r for c, r, s in zip(characters, rates, shares, strict=True) if s is None)
        total = others / (1 - wished)
    return [
        rate if share is None else total * share / 100 / max(size, 1)
        for size, rate, share in zip(characters, rates, shares, strict=True)
    ]
