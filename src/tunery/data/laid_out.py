"""A run's rows as Arrow files in its folder, the same for a run on a server and for one without.

Done once; the same inputs give the same files, so a file that is there is right.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from tunery.data.arrow import write_arrow
from tunery.data.select import select_rows

TRAIN, VALIDATION, HELD_OUT = "train.arrow", "validation.arrow", "held_out.arrow"


class Rows(Protocol):
    """Canonical rows by number."""

    def __len__(self) -> int: ...
    def pick(self, numbers: Sequence[int]) -> Iterator[bytes]: ...


def lay_out_training(
    folder: Path, train: Sequence[Rows], named: Rows | None, settings: Mapping[str, Any]
) -> tuple[Path, Path | None]:
    """Paths of the training rows and, where there are any, of the validation rows.

    `named` is the validation set that the spec names; without one the settings may split rows off.
    """
    train_file, validation_file = folder / TRAIN, folder / VALIDATION
    has_validation = named is not None or settings["validation_split_ratio"] > 0
    if train_file.exists() and (validation_file.exists() or not has_validation):
        return train_file, validation_file if has_validation else None
    chosen = select_rows(
        [range(len(rows)) for rows in train],
        named_validation=None if named is None else range(len(named)),
        validation_split_ratio=settings["validation_split_ratio"],
        train_data_split_seed=settings["train_data_split_seed"],
        max_train_samples=settings["max_train_samples"],
        max_val_samples=settings["max_val_samples"],
    )
    if named is not None:
        write_arrow(validation_file, named.pick(chosen.named_validation))
    elif has_validation:
        write_arrow(validation_file, _picked(train, chosen.validation))
    write_arrow(train_file, _picked(train, chosen.train))
    return train_file, validation_file if has_validation else None


def lay_out_held_out(folder: Path, rows: Rows, max_rows: int) -> Path:
    """Path of the rows to judge on: the first `max_rows`."""
    path = folder / HELD_OUT
    if not path.exists():
        write_arrow(path, rows.pick(range(min(len(rows), max_rows))))
    return path


def _picked(train: Sequence[Rows], chosen: list[list[int]]) -> Iterator[bytes]:
    for rows, numbers in zip(train, chosen, strict=True):
        yield from rows.pick(numbers)
