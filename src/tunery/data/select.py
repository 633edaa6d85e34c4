"""Which rows train and which validate. Pure: the same samples and settings give the same answer, anywhere.

Rows are numbers; where training draws on several datasets there is one list each. It reads no data.
"""

from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from random import Random

from tunery.data.sampling import Sample, apportion

LONGEST_VALIDATION = 1000
"""More rows than this never validate; the first of a larger set are used."""


@dataclass(frozen=True)
class Selection:
    """Row numbers by dataset, in their order; those that are never split come last."""

    train: list[Sequence[int]]
    validation: list[Sequence[int]]
    """Split off the training rows; by dataset, as `train`. Empty where a validation set was named."""
    named_validation: Sequence[int]
    """Of the named validation set."""
    set_aside: int
    """Rows that a split drew for validation before the limits; what lies above them went back to training."""

    @property
    def train_rows(self) -> int:
        return sum(map(len, self.train))

    @property
    def validation_rows(self) -> int:
        return sum(map(len, self.validation)) + len(self.named_validation)


def select_rows(
    train: Sequence[Sample],
    *,
    undivided: Sequence[Sample] = (),
    named_validation: int | None = None,
    validation_split_ratio: float = 0.0,
    train_data_split_seed: int = 0,
    max_train_samples: int = -1,
    max_val_samples: int = -1,
) -> Selection:
    """Split, then limit. The split only acts where no validation set (of `named_validation` rows) is named.

    It draws from the rows of `train` without their copies, from each dataset its part, and never from those that are
    `undivided`; a row that validates trains in none of its copies. A split above 0 sets at least one row aside and
    leaves at least one. Limits keep the mix: each dataset gives its part, its first rows.
    """
    longest = LONGEST_VALIDATION if max_val_samples < 0 else min(max_val_samples, LONGEST_VALIDATION)
    sizes = [len(sample.distinct) for sample in train]
    total = sum(sizes)
    set_aside = 0
    drawn: list[Sequence[int]] = [()] * len(train)
    if named_validation is None and validation_split_ratio > 0 and total > 1:
        set_aside = max(1, min(round(total * validation_split_ratio), total - 1))
        counts = apportion(min(set_aside, longest), sizes, [sample.key for sample in train])
        drawn = [_draw(*pair, train_data_split_seed) for pair in zip(train, counts, strict=True)]
    kept = [_without(sample, rows) for sample, rows in zip(train, drawn, strict=True)]
    keys = [sample.key for sample in train]
    for sample in undivided:
        kept.append(_without(sample, ()))
        keys.append(sample.key)
    if max_train_samples >= 0:
        quotas = apportion(max_train_samples, [len(rows) for rows in kept], keys)
        kept = [rows[:quota] for rows, quota in zip(kept, quotas, strict=True)]
    return Selection(
        train=kept,
        validation=drawn,
        named_validation=range(min(named_validation or 0, longest)),
        set_aside=set_aside,
    )


def _draw(sample: Sample, count: int, seed: int) -> Sequence[int]:
    random = Random(f"split/{seed}/{sample.key}")
    rows = sample.distinct
    return sorted(rows[at] for at in random.sample(range(len(rows)), count))


def _without(sample: Sample, drawn: Sequence[int]) -> Sequence[int]:
    if not drawn:
        return range(sample.rows) if (sample.copies, len(sample.subset)) == (1, 0) else _held(sample, set())
    return _held(sample, set(drawn))


def _held(sample: Sample, out: set[int]) -> "array[int]":
    numbers = sample.numbers()
    held = array("q")
    while part := list(islice(numbers, 1 << 16)):
        held.extend(number for number in part if number not in out)
    return held
