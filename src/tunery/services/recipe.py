"""What a run's data comes to before any row is laid out: rates, the fewest rows, the preview, the recipe's hash.

Pure: it is told what is known of each dataset version or file, and knows neither database nor paths.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import ceil, floor
from typing import Any

import orjson

from tunery.core.errors import Problem, Where
from tunery.core.files import sha256_file
from tunery.data import general
from tunery.data.estimate import Sampled
from tunery.data.laid_out import general_rate
from tunery.data.sampling import HIGHEST_RATE, LOWEST_RATE, rates_of_shares
from tunery.data.select import LONGEST_VALIDATION
from tunery.methods.point import METHODS
from tunery.models.folder import ModelFolder
from tunery.schemas.check import RowKind
from tunery.schemas.recipe import LeakReport, MinimumRows, RecipePart, RecipePreview, RowCounts
from tunery.schemas.run import DataSpec, MixSpec, ResolvedSpec, TrainRef

_SELECTING = ("validation_split_ratio", "train_data_split_seed", "max_train_samples", "max_val_samples")
_NEARLY = 1e-6


@dataclass(frozen=True)
class DataFacts:
    """What resolution needs to know of a dataset version or file."""

    label: str
    """`name@version`, or a path."""
    format: str
    row_kind: RowKind
    rows: int
    content_hash: str
    characters: int = 0
    text_rows: int = 0
    """Rows that are each a plain text file …"""
    text_characters: int = 0
    """… and their characters."""
    per_token: float = 4.0
    """Characters of a token, estimated."""
    images: bool = False
    """Whether rows show images."""
    lengths: tuple[int, ...] = ()
    """Tokens of rows spread over the whole, where they were counted."""
    foreign: float = 0.0
    """Share of the characters that stand in no Latin script, of those rows."""

    def sampled(self, found: Sampled) -> "DataFacts":
        """The same with what a sample of the rows says."""
        return replace(self, per_token=found.per_token, lengths=found.lengths, foreign=found.foreign)


@dataclass(frozen=True)
class Replay:
    """What an earlier run learnt from, and how much of it is mixed in again."""

    facts: Sequence[DataFacts] = ()
    """By dataset; rows and characters are those it learnt from."""
    share: float = 0.0
    recipe_hash: str = ""
    """Of the earlier run: together with the share it says which rows they are."""


NO_REPLAY = Replay()


def shipped_facts(method: str, kind: RowKind) -> DataFacts:
    """The general corpus that ships. Raises Problem `no_general_corpus` where it has no rows of that kind."""
    if kind not in general.KINDS:
        raise Problem("no_general_corpus", where=Where(field="data.mix"), method=METHODS.load(method).TITLE)
    rows = general.shipped(kind)
    label = f"{general.NAME}@{general.VERSION}"
    return DataFacts(label, general.FORMATS_OF[kind], kind, len(rows), rows.content_hash, rows.characters)


def pinned(data: DataSpec, train: Sequence[DataFacts], general: DataFacts | None) -> DataSpec:
    """The same with a sampling rate for each share, and the general corpus named.

    Raises Problem `share_out_of_reach`, or `spec_invalid` for data that is named twice.
    """
    labels = [one.label for one in (*train, *([general] if general else []))]
    for label in sorted({one for one in labels if labels.count(one) > 1}):
        detail = f"{label} is listed twice in the training data; list it once and raise its sampling_rate."
        raise Problem("spec_invalid", where=Where(field="data.train"), detail=detail)
    mix = data.mix
    if mix is not None and general is not None:
        name, _, version = general.label.rpartition("@")
        mix = mix.model_copy(update={"dataset": name, "version": int(version)})
    return data.model_copy(update={"train": with_rates(data.train, train), "mix": mix})


def with_rates(train: Sequence[TrainRef], facts: Sequence[DataFacts]) -> list[TrainRef]:
    """The same data with a sampling rate for each share. Raises Problem `share_out_of_reach`."""
    given = [1.0 if ref.sampling_rate is None else ref.sampling_rate for ref in train]
    shares = [ref.share for ref in train]
    if not any(share is not None for share in shares):
        rates = given
    elif len(train) == 1:
        rates = [1.0]
    else:
        rates = rates_of_shares([one.characters for one in facts], given, shares)
    for ref, one, rate in zip(train, facts, rates, strict=True):
        if not LOWEST_RATE - _NEARLY <= rate <= HIGHEST_RATE + _NEARLY:
            raise Problem(
                "share_out_of_reach",
                where=Where(field="data.train"),
                dataset=one.label,
                rate=f"{rate:.4g}",
                share=f"{ref.share:g}",
            )
    return [
        ref.model_copy(
            update={"sampling_rate": min(HIGHEST_RATE, max(LOWEST_RATE, round(rate, 6))), "share": None}
        )
        for ref, rate in zip(train, rates, strict=True)
    ]


def parts_of(
    data: DataSpec, train: Sequence[DataFacts], general: DataFacts | None, replay: Replay = NO_REPLAY
) -> list[RecipePart]:
    """What each dataset gives, as far as it can be told without reading its rows."""
    found = [
        _part(one, 1.0 if ref.sampling_rate is None else ref.sampling_rate)
        for ref, one in zip(data.train, train, strict=True)
    ]
    if general is not None and data.mix is not None:
        own = sum(part.characters for part in found)
        rate = general_rate(data.mix.ratio, own, general.characters)
        found.append(_part(general, rate).model_copy(update={"kind": "general"}))
    for one in replay.facts:
        found.append(_part(one, replay.share).model_copy(update={"kind": "replay"}))
    everything = max(1, sum(part.characters for part in found))
    return [part.model_copy(update={"share": round(100 * part.characters / everything, 4)}) for part in found]


def _part(one: DataFacts, rate: float) -> RecipePart:
    copies = floor(rate + _NEARLY)
    return RecipePart(
        dataset=one.label,
        rows_in=one.rows,
        characters_in=one.characters,
        sampling_rate=rate,
        rows=copies * one.rows + round((rate - copies) * one.rows),
        characters=round(rate * one.characters),
        share=0,
    )


def minimum_of(
    parts: Sequence[RecipePart], facts: Sequence[DataFacts], minimum: int, length: int
) -> MinimumRows:
    """Rows × rate, added up. A plain text file counts as the pieces of `length` tokens that it makes."""
    units = [_units(one, length) for one in facts]
    counted = sum(part.sampling_rate * unit for part, unit in zip(parts, units, strict=True))
    terms = [
        f"{part.dataset.rpartition('/')[2]}: {unit:,} × {part.sampling_rate:.4g}"
        for part, unit in zip(parts, units, strict=True)
    ]
    total = f"{counted:,.4g}" if counted < 10_000 else f"{counted:,.0f}"
    arithmetic = f"{' + '.join(terms)} = {total}"
    return MinimumRows(counted=round(counted, 2), minimum=minimum, arithmetic=arithmetic)


def _units(one: DataFacts, length: int) -> int:
    pieces = ceil(one.text_characters / max(1.0, length * one.per_token))
    return one.rows - one.text_rows + max(one.text_rows, pieces)


def counts_of(
    parts: Sequence[RecipePart], settings: Mapping[str, Any], validation: DataFacts | None
) -> RowCounts:
    """Where the rows go, as far as it can be told without reading them."""
    own = [part for part in parts if part.kind == "own"]
    sampled = sum(part.rows for part in parts)
    distinct = sum(part.rows_in if part.sampling_rate >= 1 else part.rows for part in own)
    most = settings["max_val_samples"]
    longest = LONGEST_VALIDATION if most < 0 else min(most, LONGEST_VALIDATION)
    aside = used = leaving = 0
    if validation is not None:
        used = min(validation.rows, longest)
    elif settings["validation_split_ratio"] > 0 and distinct > 1:
        aside = max(1, min(round(distinct * settings["validation_split_ratio"]), distinct - 1))
        used = min(aside, longest)
        leaving = round(used * sum(part.rows for part in own) / distinct)
    train = sampled - leaving
    if settings["max_train_samples"] >= 0:
        train = min(train, settings["max_train_samples"])
    return RowCounts(
        sampled=sampled, set_aside=aside, validation=used, returned=max(0, aside - used), train=train
    )


def notes_of(
    parts: Sequence[RecipePart],
    counts: RowCounts,
    mix: MixSpec | None,
    settings: Mapping[str, Any],
    *,
    text: bool,
) -> list[str]:
    """What a person should know of the recipe."""
    notes: list[str] = []
    for part in parts:
        if part.kind == "general" and mix is not None and part.sampling_rate >= HIGHEST_RATE:
            own = sum(one.characters for one in parts if one.kind == "own")
            notes.append(
                f"The general corpus {part.dataset} is small: even ten copies are only {part.characters:,} of the "
                f"{round(mix.ratio * own):,} characters requested."
            )
        if part.kind == "own" and part.sampling_rate > 5:
            notes.append(
                f"{part.dataset} is repeated {part.sampling_rate:g} times per epoch; 1 to 5 is recommended."
            )
    if counts.returned:
        notes.append(
            f"{counts.set_aside:,} rows were drawn for validation; {counts.validation:,} are used, and "
            f"{counts.returned:,} go back to training."
        )
    if text and mix is None:
        notes.append(
            "Training on plain text alone doesn't teach answering, and may weaken the model's ability to follow "
            "instructions. Mix in a general corpus, or fine-tune on conversations afterwards."
        )
    if settings.get("pseudo_multi_turn_probability"):
        notes.append(
            "Single-turn rows will be joined, so there will be fewer, longer rows than counted here."
        )
    return notes


def recipe_hash(
    data: DataSpec,
    settings: Mapping[str, Any],
    base: ModelFolder,
    *,
    train: Sequence[DataFacts],
    general: DataFacts | None,
    validation: DataFacts | None,
    replay: Replay = NO_REPLAY,
) -> str:
    """One hash over everything that decides which rows are laid out, and in which order."""
    joins = settings.get("pseudo_multi_turn_probability", 0.0)
    recipe: dict[str, Any] = {
        "train": [[one.content_hash, ref.sampling_rate] for ref, one in zip(data.train, train, strict=True)],
        "mix": None if general is None or data.mix is None else [general.content_hash, data.mix.ratio],
        "seed": data.seed,
        "validation": None if validation is None else validation.content_hash,
        "settings": {name: settings[name] for name in _SELECTING},
        "joins": joins and [joins, settings["max_sequence_length"], _tokenizer_of(base)],
    }
    if replay.facts:
        of = [one.content_hash for one in replay.facts]
        recipe["replay"] = [replay.recipe_hash, replay.share, of]
    return hashlib.sha256(orjson.dumps(recipe, option=orjson.OPT_SORT_KEYS)).hexdigest()


def _tokenizer_of(base: ModelFolder) -> str:
    return sha256_file(base.path / "tokenizer.json")


def preview_of(
    resolved: ResolvedSpec,
    *,
    train: Sequence[DataFacts],
    general: DataFacts | None,
    validation: DataFacts | None,
    minimum_rows: int,
    leaks: LeakReport | None,
    replay: Replay = NO_REPLAY,
) -> RecipePreview:
    """What the run would learn from; each dataset's `per_token` is taken as measured."""
    spec = resolved.spec
    facts = [*train, *([general] if general else []), *replay.facts]
    parts = [
        part.model_copy(update={"tokens": round(part.characters / one.per_token)})
        for part, one in zip(parts_of(spec.data, train, general, replay), facts, strict=True)
    ]
    counts = counts_of(parts, spec.settings, validation)
    part_used = counts.train / max(1, counts.sampled)
    length = spec.settings["max_sequence_length"]
    return RecipePreview(
        parts=parts,
        rows=counts,
        characters=sum(part.characters for part in parts),
        tokens=round(part_used * sum(part.tokens or 0 for part in parts)),
        general_tokens=_tokens_of(parts, "general"),
        replay_tokens=_tokens_of(parts, "replay"),
        minimum=minimum_of(parts, facts, minimum_rows, length),
        leaks=leaks,
        notes=resolved.notes,
        recipe_hash=resolved.recipe_hash,
    )


def _tokens_of(parts: Sequence[RecipePart], kind: str) -> int | None:
    """What the parts of one kind add; None where there are none."""
    found = [part.tokens or 0 for part in parts if part.kind == kind]
    return sum(found) if found else None
