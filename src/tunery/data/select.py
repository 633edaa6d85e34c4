"""Which rows train and which validate. Pure: the same lists and settings give the same answer, anywhere.

Rows are numbers; where training draws on several datasets there is one list each. It reads no data.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass

LONGEST_VALIDATION = 1000
"""More rows than this never validate; the first of a larger set are used."""


@dataclass(frozen=True)
class Selection:
    """Row numbers by dataset, in their order."""

    train: list[list[int]]
    validation: list[list[int]]
    """Split off the training rows; by dataset, as `train`. Empty lists where a validation set was named."""
    named_validation: list[int]
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
    train: Sequence[Sequence[int]],
    *,
    named_validation: Sequence[int] | None = None,
    validation_split_ratio: float = 0.0,
    train_data_split_seed: int = 0,
    max_train_samples: int = -1,
    max_val_samples: int = -1,
) -> Selection:
    """Split, then limit. The split only acts where no validation set is named.

    A split above 0 sets at least one row aside and leaves at least one. Limits take the first rows.
    """
    longest = LONGEST_VALIDATION if max_val_samples < 0 else min(max_val_samples, LONGEST_VALIDATION)
    places = [(dataset, position) for dataset, rows in enumerate(train) for position in range(len(rows))]
    drawn: list[int] = []
    if named_validation is None and validation_split_ratio > 0 and len(places) > 1:
        wanted = round(len(places) * validation_split_ratio)
        drawn = _draw(len(places), max(1, min(wanted, len(places) - 1)), train_data_split_seed)
    chosen = set(drawn[:longest])
    training = [place for number, place in enumerate(places) if number not in chosen]
    if max_train_samples >= 0:
        training = training[:max_train_samples]
    return Selection(
        train=_by_dataset(train, training),
        validation=_by_dataset(train, [places[number] for number in sorted(chosen)]),
        named_validation=list(named_validation or [])[:longest],
        set_aside=len(drawn),
    )


def _draw(total: int, count: int, seed: int) -> list[int]:
    return random.Random(seed).sample(range(total), count)


def _by_dataset(train: Sequence[Sequence[int]], places: Sequence[tuple[int, int]]) -> list[list[int]]:
    chosen: list[list[int]] = [[] for _ in train]
    for dataset, position in places:
        chosen[dataset].append(train[dataset][position])
    return chosen
