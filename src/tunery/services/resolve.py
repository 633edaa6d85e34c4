"""From what a person wrote to what will run: every value filled in, its origin noted, nonsense refused.

The same for a run on the server and for `tunery train` without one; it knows neither database nor paths.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tunery import __version__
from tunery.core.clock import now_us, stamp
from tunery.core.errors import Problem, Where
from tunery.data.formats.point import FORMATS
from tunery.methods.point import METHODS, Method
from tunery.metrics.point import METRICS
from tunery.models.folder import ModelFolder, sequence_limit
from tunery.schemas.dataset import RowKind
from tunery.schemas.run import ResolvedSpec, RunSpec
from tunery.schemas.settings import resolve_settings


@dataclass(frozen=True)
class DataFacts:
    """What resolution needs to know of a dataset version or file."""

    label: str
    """`name@version`, or a path."""
    format: str
    row_kind: RowKind
    rows: int
    content_hash: str


def resolve(
    spec: RunSpec,
    *,
    base: ModelFolder,
    base_hash: str,
    train: Sequence[DataFacts],
    validation: DataFacts | None,
    held_out: DataFacts | None,
    minimum_rows: int,
) -> ResolvedSpec:
    """Fill in and check a spec.

    Raises Problem: unknown_extension, unknown_setting, setting_invalid, setting_out_of_range,
    setting_without_effect, format_not_for_method, too_few_rows, no_chat_template.
    """
    method = METHODS.load(spec.method)
    given = {name: value for name, value in spec.settings.items() if value is not None}
    kind = str(given.get("finetuning_type", method.Settings.model_fields["finetuning_type"].default))
    recommended = method.recommended(kind) if spec.preset == "recommended" else {}
    settings, origins = resolve_settings(
        spec.method, method.Settings, given, recommended, allow_out_of_range=spec.allow_out_of_range
    )
    values = settings.model_dump()
    values["max_sequence_length"], note = sequence_limit(settings.max_sequence_length, base.limit)
    _check_data(spec.method, method, base, train, validation, held_out, minimum_rows)
    _check_validation(given, values, validation)
    _check_evaluation(spec, held_out)
    filled = spec.model_copy(update={"name": spec.name or default_name(spec.base_model), "settings": values})
    everything = [*train, *(one for one in (validation, held_out) if one is not None)]
    return ResolvedSpec(
        spec=RunSpec.model_validate(filled.model_dump()),
        origins=origins,
        base_model_hash=base_hash,
        data_hashes={one.label: one.content_hash for one in everything},
        code_version=__version__,
        notes=_notes(note if origins["max_sequence_length"] == "user" else None, train, held_out),
    )


def _notes(lowered: str | None, train: Sequence[DataFacts], held_out: DataFacts | None) -> list[str]:
    notes = [lowered] if lowered else []
    if held_out is not None and any(one.content_hash == held_out.content_hash for one in train):
        notes.append(
            f"The held-out rows {held_out.label} are training rows too: the scores will say how well the model "
            "remembers, not how well it does on new rows."
        )
    return notes


def default_name(base_model: str) -> str:
    """`ft_[base model]_[timestamp]`."""
    base = re.sub(r"[^A-Za-z0-9._\-]+", "-", base_model.rstrip("/").rpartition("/")[2]).strip("-") or "model"
    return f"ft_{base[:80]}_{stamp(now_us())}"


def _check_data(
    name: str,
    method: Method,
    base: ModelFolder,
    train: Sequence[DataFacts],
    validation: DataFacts | None,
    held_out: DataFacts | None,
    minimum_rows: int,
) -> None:
    for one in (*train, *((validation,) if validation else ())):
        if one.row_kind not in method.TAKES:
            fitting = [id for id, format in FORMATS.all() if format.ROW_KIND in method.TAKES]
            raise Problem(
                "format_not_for_method",
                where=Where(field="data"),
                dataset=one.label,
                format=one.format,
                method=name,
                fitting=", ".join(fitting),
            )
    if held_out is not None and held_out.row_kind != "conversation":
        fitting = [id for id, format in FORMATS.all() if format.ROW_KIND == "conversation"]
        raise Problem(
            "format_not_for_method",
            where=Where(field="evaluate.dataset"),
            dataset=held_out.label,
            format=held_out.format,
            method="evaluate",
            fitting=", ".join(fitting),
        )
    rows = sum(one.rows for one in train)
    if rows < minimum_rows:
        raise Problem("too_few_rows", where=Where(field="data"), minimum=minimum_rows, rows=rows)
    talks = any(one.row_kind == "conversation" for one in (*train, *((held_out,) if held_out else ())))
    if talks and not base.has_chat_template:
        raise Problem("no_chat_template", where=Where(field="base_model"), name=base.path.name)


def _check_validation(given: dict[str, Any], values: dict[str, Any], validation: DataFacts | None) -> None:
    def useless(name: str, reason: str) -> Problem:
        return Problem("setting_without_effect", where=Where(setting=name), name=name, reason=reason)

    split = values["validation_split_ratio"] > 0
    if validation is not None and "validation_split_ratio" in given and split:
        raise useless("validation_split_ratio", "a validation dataset is named")
    has_rows = validation is not None or split
    if given.get("eval_steps", 0) and not has_rows:
        raise useless("eval_steps", "there is no validation data; name some or set validation_split_ratio")
    if "max_val_samples" in given and not has_rows:
        raise useless("max_val_samples", "there is no validation data")
    if has_rows and "eval_steps" in given and values["eval_steps"] == 0 and "eval_batch_size" in given:
        raise useless("eval_batch_size", "eval_steps is 0, so nothing is validated")


def _check_evaluation(spec: RunSpec, held_out: DataFacts | None) -> None:
    if held_out is None:
        return
    for name in spec.evaluate.metrics:
        METRICS.load(name)
