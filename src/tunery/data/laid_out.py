"""A run's rows as Arrow files in its folder, the same for a run on a server and for one without.

Done once; the same inputs give the same files, so files that are there are right. Beside them stands a report of
what the recipe came to.
"""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from tunery.core.files import read_json, write_json
from tunery.data.arrow import write_arrow
from tunery.data.leaks import LeakCheck
from tunery.data.multi_turn import Joiner, Length
from tunery.data.replay import Picked, Rows
from tunery.data.rows import characters, decode_row
from tunery.data.sampling import HIGHEST_RATE, Sample, take
from tunery.data.select import Selection, select_rows
from tunery.schemas.engine import Part
from tunery.schemas.recipe import RecipePart, RecipeReport, RowCounts
from tunery.schemas.run import ResolvedSpec

TRAIN, VALIDATION, HELD_OUT = "train.arrow", "validation.arrow", "held_out.arrow"
RECIPE = "recipe.json"
_LOOKED_AT = 200_000
"""So many training rows are compared with the test rows."""


@dataclass(frozen=True)
class Sources:
    """The rows that a resolved spec names, in its order."""

    train: Sequence[Rows]
    validation: Rows | None = None
    general: Rows | None = None
    """Where the spec mixes a general corpus in."""
    held_out: Rows | None = None
    """What the model is judged on afterwards; only compared with here."""
    length: Length | None = None
    """Tokens of a row; needed to join rows."""
    earlier: "Earlier | None" = None
    """The run whose rows are mixed in again, where the spec wants that."""


@dataclass(frozen=True)
class Earlier:
    """An earlier run: its frozen spec, and the rows it names."""

    resolved: ResolvedSpec
    sources: Sources


@dataclass
class _Taken:
    """One dataset's sample, and what is known of it."""

    label: str
    rows: Rows
    rate: float
    sample: Sample
    characters_in: int
    characters: int
    kind: Literal["own", "general", "replay"] = "own"

    def row_of(self, number: int) -> int:
        """The number that a row has in the dataset."""
        return self.rows.numbers[number] if isinstance(self.rows, Picked) else number


def lay_out_training(folder: Path, sources: Sources, resolved: ResolvedSpec) -> tuple[Path, Path | None]:
    """Paths of the training rows and, where there are any, of the validation rows."""
    settings = resolved.spec.settings
    train_file, validation_file = folder / TRAIN, folder / VALIDATION
    has_validation = sources.validation is not None or settings["validation_split_ratio"] > 0
    wanted = [train_file, folder / RECIPE, *([validation_file] if has_validation else [])]
    if not all(path.exists() for path in wanted):
        _lay_out(folder, sources, resolved, has_validation=has_validation)
    return train_file, validation_file if has_validation else None


def lay_out_held_out(folder: Path, rows: Rows, max_rows: int) -> Path:
    """Path of the rows to judge on: the first `max_rows`."""
    path = folder / HELD_OUT
    if not path.exists():
        write_arrow(path, rows.pick(range(min(len(rows), max_rows))))
    return path


def read_report(folder: Path) -> RecipeReport | None:
    """What the recipe came to; None before the rows are laid out."""
    path = folder / RECIPE
    return RecipeReport.model_validate(read_json(path)) if path.exists() else None


def laid_out_parts(folder: Path) -> list[Part]:
    """Which rows came from which dataset, once they are laid out."""
    report = read_report(folder)
    parts = report.parts if report is not None else []
    return [Part(title=one.title, train=one.train or 0, validation=one.validation or 0) for one in parts]


def _lay_out(folder: Path, sources: Sources, resolved: ResolvedSpec, *, has_validation: bool) -> None:
    taken = _sample(sources, resolved)
    chosen = _select(taken, sources, resolved)
    leaks = LeakCheck()
    _note_tests(leaks, taken, chosen, sources, resolved)
    if has_validation:
        named = sources.validation
        write_arrow(
            folder / VALIDATION,
            _picked(taken, chosen.validation) if named is None else named.pick(chosen.named_validation),
        )
    joiner = _joiner(sources, resolved)
    digest = hashlib.sha256()
    train = [0] * len(taken)

    def lines() -> Iterator[bytes]:
        for at, compared in enumerate(_compared(taken, chosen, leaks)):
            for line in joiner(compared) if joiner else compared:
                digest.update(line)
                digest.update(b"\n")
                train[at] += 1
                yield line

    written = write_arrow(folder / TRAIN, lines())
    counts = RowCounts(
        sampled=sum(len(one.sample) for one in taken),
        set_aside=chosen.set_aside,
        validation=chosen.validation_rows,
        returned=max(0, chosen.set_aside - chosen.validation_rows),
        train=written,
        joined=joiner.joined if joiner else 0,
    )
    report = RecipeReport(
        parts=_parts(taken, train, [len(numbers) for numbers in chosen.validation]),
        rows=counts,
        leaks=leaks.report(),
        recipe_hash=resolved.recipe_hash,
        rows_hash=digest.hexdigest(),
    )
    write_json(folder / RECIPE, report.model_dump(mode="json"))


def _sample(sources: Sources, resolved: ResolvedSpec) -> list[_Taken]:
    data = resolved.spec.data
    taken = [
        _take(ref.label, resolved, rows, ref.sampling_rate or 1.0)
        for ref, rows in zip(data.train, sources.train, strict=True)
    ]
    if data.mix is not None and sources.general is not None:
        own = sum(one.characters for one in taken)
        rate = general_rate(data.mix.ratio, own, sources.general.characters)
        taken.append(_take(data.mix.label, resolved, sources.general, rate, "general"))
    continued, share = resolved.continues, replay_share(resolved)
    if continued is not None and share and sources.earlier is not None:
        for label, rows in _learnt(sources.earlier):
            if label in continued.replayed:
                taken.append(_take(label, resolved, rows, share, "replay", continued.recipe_hash))
    return taken


def replay_share(resolved: ResolvedSpec) -> float:
    """How much of what an earlier run learnt from is mixed in again."""
    wanted = resolved.spec.continue_from
    return 0.0 if wanted is None else wanted.replay or 0.0


def _learnt(earlier: Earlier) -> Iterator[tuple[str, Picked]]:
    """Every dataset's rows that a run learnt from, as often as it did, by `name@version`."""
    taken = _sample(earlier.sources, earlier.resolved)
    chosen = _select(taken, earlier.sources, earlier.resolved)
    for one, numbers in zip(taken, chosen.train, strict=True):
        yield one.label, Picked(one.rows, numbers)


def general_rate(ratio: float, own: int, general: int) -> float:
    """The sampling rate of the general corpus: `ratio` of the own characters, as far as copies may go."""
    return min(HIGHEST_RATE, ratio * own / max(general, 1))


def _take(
    label: str,
    resolved: ResolvedSpec,
    rows: Rows,
    rate: float,
    kind: Literal["own", "general", "replay"] = "own",
    recipe: str = "",
) -> _Taken:
    """`recipe`: the hash of the recipe that the rows were chosen by, where they aren't a whole dataset."""
    sizes = map(_size, rows.lines())
    key = recipe + resolved.data_hashes[label]
    sample = take(key, len(rows), rate, resolved.spec.data.seed, sizes)
    part = sum(map(_size, rows.pick(sample.subset)))
    return _Taken(label, rows, rate, sample, rows.characters, sample.copies * rows.characters + part, kind)


def _size(line: bytes) -> int:
    return characters(decode_row(line))


def _select(taken: Sequence[_Taken], sources: Sources, resolved: ResolvedSpec) -> Selection:
    settings = resolved.spec.settings
    named = None if resolved.spec.data.validation is None else 0
    return select_rows(
        [one.sample for one in taken if one.kind == "own"],
        undivided=[one.sample for one in taken if one.kind != "own"],
        named_validation=named if sources.validation is None else len(sources.validation),
        validation_split_ratio=settings["validation_split_ratio"],
        train_data_split_seed=settings["train_data_split_seed"],
        max_train_samples=settings["max_train_samples"],
        max_val_samples=settings["max_val_samples"],
    )


def _note_tests(
    leaks: LeakCheck, taken: Sequence[_Taken], chosen: Selection, sources: Sources, resolved: ResolvedSpec
) -> None:
    spec = resolved.spec
    for one, numbers in zip(taken, chosen.validation, strict=False):
        leaks.test("validation", one.label, zip(numbers, one.rows.pick(numbers), strict=True))
    if sources.validation is not None and spec.data.validation is not None:
        numbers = chosen.named_validation
        leaks.test(
            "validation",
            spec.data.validation.label,
            zip(numbers, sources.validation.pick(numbers), strict=True),
        )
    if sources.held_out is not None and spec.evaluate.dataset is not None:
        numbers = range(min(len(sources.held_out), spec.evaluate.max_rows))
        leaks.test(
            "held_out", spec.evaluate.dataset.label, zip(numbers, sources.held_out.pick(numbers), strict=True)
        )


def _compared(taken: Sequence[_Taken], chosen: Selection, leaks: LeakCheck) -> Iterator[Iterator[bytes]]:
    """The training rows by dataset; each is held against the test rows once, however often it is copied."""
    looked = 0

    def rows_of(one: _Taken, numbers: Sequence[int]) -> Iterator[bytes]:
        nonlocal looked
        highest = -1
        for number, line in zip(numbers, one.rows.pick(numbers), strict=True):
            if leaks.has_tests and number > highest:
                highest = number
                if looked < _LOOKED_AT:
                    leaks.train(one.label, one.row_of(number), decode_row(line))
                    looked += 1
                else:
                    leaks.stop()
            yield line

    return (rows_of(*pair) for pair in zip(taken, chosen.train, strict=True))


def _picked(taken: Sequence[_Taken], chosen: Iterable[Sequence[int]]) -> Iterator[bytes]:
    for one, numbers in zip(taken, chosen, strict=False):
        yield from one.rows.pick(numbers)


def _joiner(sources: Sources, resolved: ResolvedSpec) -> Joiner | None:
    settings = resolved.spec.settings
    probability = settings.get("pseudo_multi_turn_probability", 0.0)
    if not probability:
        return None
    assert sources.length is not None
    return Joiner(probability, resolved.spec.data.seed, sources.length, settings["max_sequence_length"])


def _parts(taken: Sequence[_Taken], train: Sequence[int], validation: Sequence[int]) -> list[RecipePart]:
    """`train`, `validation`: rows by dataset; only what was split gave rows to validate, and comes first."""
    everything = max(1, sum(one.characters for one in taken))
    return [
        RecipePart(
            dataset=one.label,
            kind=one.kind,
            rows_in=len(one.rows),
            characters_in=one.characters_in,
            sampling_rate=one.rate,
            rows=len(one.sample),
            characters=one.characters,
            share=round(100 * one.characters / everything, 4),
            train=train[at],
            validation=validation[at] if at < len(validation) else 0,
        )
        for at, one in enumerate(taken)
    ]
