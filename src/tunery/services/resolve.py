"""From what a person wrote to what will run: every value filled in, its origin noted, nonsense refused.

The same for a run on the server and for `tunery train` without one; it knows neither database nor paths.
"""

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from tunery import __version__
from tunery.core.clock import now_us, stamp
from tunery.core.errors import Problem, Where
from tunery.data.formats.point import FORMATS, holds_images
from tunery.methods.point import METHODS, Method
from tunery.metrics.point import METRICS
from tunery.models.folder import (
    ModelFolder,
    can_chat,
    layout_note,
    load_family,
    quantisation_note,
    sequence_limit,
    template_note,
)
from tunery.schemas.check import RowKind
from tunery.schemas.recipe import LeakReport, MinimumRows
from tunery.schemas.run import ResolvedSpec, RunSpec
from tunery.schemas.settings import Origin, check_settings, missing_for
from tunery.services import recipe
from tunery.services.advice import advice_of
from tunery.services.begun import FROM_BASE, Begun
from tunery.services.outlook import outlook_of
from tunery.services.recipe import DataFacts


def resolve(
    spec: RunSpec,
    *,
    base: ModelFolder,
    base_hash: str,
    train: Sequence[DataFacts],
    validation: DataFacts | None,
    held_out: DataFacts | None,
    minimum_rows: int,
    general: DataFacts | None = None,
    leaks: LeakReport | None = None,
    begun: Begun = FROM_BASE,
    template: Mapping[str, Any] | None = None,
) -> ResolvedSpec:
    """Fill in and check a spec. `general`: the corpus, where the spec mixes one in; `leaks`: what is known of test
    rows among the training rows; `begun`: what it goes on from; `template`: settings of the template that it names.

    Raises Problem, with everything that is wrong: unknown_extension, unknown_setting, setting_invalid,
    setting_out_of_range, setting_without_effect, format_not_for_method, images_not_learnt, too_few_rows,
    no_chat_template, method_not_for_model, encoder_decoder_unknown; schedule_needs_pipeline.
    """
    if spec.trigger.type == "schedule":
        raise Problem("schedule_needs_pipeline", where=Where(field="trigger"))
    method = METHODS.load(spec.method)
    given = {name: value for name, value in spec.settings.items() if value is not None}
    kept = {n: value for n, value in (template or {}).items() if n in method.Settings.model_fields}
    usual = kept.get("finetuning_type", method.Settings.model_fields["finetuning_type"].default)
    kind = str(given.get("finetuning_type", begun.settings.get("finetuning_type", usual)))
    recommended = method.recommended(kind) if spec.preset == "recommended" else {}
    taken_over = begun.taken_over(kind)
    checked = check_settings(
        spec.method,
        method.Settings,
        given,
        {**recommended, **kept, **taken_over},
        allow_out_of_range=spec.allow_out_of_range,
    )
    values = checked.settings.model_dump()
    values["gradient_accumulation_steps"] = checked.settings.accumulation
    wrong = [*checked.problems, *begun.refused(values, taken_over), *_expert_problems(given, base)]
    if not any(problem.where.setting == "validation_split_ratio" for problem in wrong):
        wrong += _useless_settings(given, values, validation)
    length, note = sequence_limit(checked.settings.max_sequence_length, base.limit)
    data, parts = spec.data, []
    with _noting(wrong):
        data = recipe.pinned(spec.data, train, general)
        parts = recipe.parts_of(data, train, general, begun.replay)
        learnt = [*train, *([general] if general else []), *begun.replay.facts]
        _check_fit(spec.method, base)
        _check_data(spec.method, method, base, learnt, validation, held_out)
        _check_minimum(recipe.minimum_of(parts, learnt, minimum_rows, length))
    evaluate = spec.evaluate.model_copy(update={"metrics": _metrics(spec, held_out)})
    spec = spec.model_copy(update={"evaluate": evaluate})
    with _noting(wrong):
        _check_evaluation(spec, held_out)
    if wrong:
        raise Problem.together(wrong)
    values["max_sequence_length"] = length
    origins: dict[str, Origin] = {
        name: _origin(name, origin, kept, taken_over) for name, origin in checked.origins.items()
    }
    filled = spec.model_copy(
        update={"name": spec.name or default_name(spec.base_model), "data": data, "settings": values}
    )
    others = (validation, held_out, general)
    everything = [*begun.replay.facts, *train, *(one for one in others if one is not None)]
    counts = recipe.counts_of(parts, values, validation)
    family = load_family(base)
    layout = layout_note(family, packing=values["packing"])
    quantised = values["int8_quantization"] or values["nf4_quantization"]
    bits = quantisation_note(family) if quantised else None
    text = all(one.row_kind == "text" for one in train)
    notes = recipe.notes_of(parts, counts, data.mix, values, text=text)
    notes += begun.notes(kind, held_out is not None)
    if strange := sorted({*(template or {})} - {*kept}):
        notes.append(f"{spec.template} has settings that {spec.method} doesn't know: {', '.join(strange)}.")
    outlook = outlook_of(filled, values, counts, train, held_out)
    notes += advice_of(spec.method, values, origins, train, outlook)
    chat = None if text else template_note(base, family)
    notes += [one for one in (chat, layout, bits) if one]
    if note is not None and origins["max_sequence_length"] == "user":
        notes.insert(0, note)
    return ResolvedSpec(
        spec=RunSpec.model_validate(filled.model_dump()),
        origins=origins,
        base_model_hash=base_hash,
        data_hashes={one.label: one.content_hash for one in everything},
        code_version=__version__,
        outlook=outlook,
        continues=begun.continued,
        recipe_hash=recipe.recipe_hash(
            data, values, base, train=train, general=general, validation=validation, replay=begun.replay
        ),
        notes=notes,
        leaks=[one for one in leaks.tests if one.message] if leaks else [],
    )


def _origin(name: str, found: Origin, template: Collection[str], taken_over: Collection[str]) -> Origin:
    """Who put a value into the place of the recommended one."""
    if found != "recommended":
        return found
    return "continued" if name in taken_over else "template" if name in template else found


def as_written(resolved: ResolvedSpec) -> dict[str, Any]:
    """A frozen spec as a person would write it: of the settings only those that someone chose.

    What it was cloned from isn't part of what it is: a copy of it differs from it, not from the one before.
    """
    written = resolved.spec.model_dump(mode="json", exclude_defaults=True, exclude={"clone_of"})
    chosen = {n: value for n, value in resolved.spec.settings.items() if resolved.origins.get(n) == "user"}
    return {**written, "settings": chosen}


def acting(resolved: ResolvedSpec) -> dict[str, Any]:
    """Of the settings of a frozen spec those that have an effect."""
    settings, method = resolved.spec.settings, resolved.spec.method
    known = METHODS.load(method).Settings.model_fields if method in METHODS.names() else {}
    return {
        name: value
        for name, value in settings.items()
        if name not in known or not missing_for(known[name], settings)
    }


def default_name(base_model: str) -> str:
    """`ft_[base model]_[timestamp]`."""
    base = re.sub(r"[^A-Za-z0-9._\-]+", "-", base_model.rstrip("/").rpartition("/")[2]).strip("-") or "model"
    return f"ft_{base[:80]}_{stamp(now_us())}"


def _check_fit(name: str, base: ModelFolder) -> None:
    """Whether such a model can be trained, and by this method."""
    family = load_family(base)
    if base.config.get("is_encoder_decoder") and not family.TEXT_TO_TEXT:
        raise Problem(
            "encoder_decoder_unknown",
            where=Where(field="base_model"),
            name=base.path.name,
            model_type=base.model_type,
        )
    if family.TEXT_TO_TEXT and (reason := _needs_one_network(METHODS.load(name))):
        fitting = ", ".join(one for one, method in METHODS.all() if not _needs_one_network(method))
        raise Problem(
            "method_not_for_model",
            where=Where(field="method"),
            family=family.TITLE,
            method=name,
            reason=reason,
            fitting=fitting,
        )


def _needs_one_network(method: Method) -> str | None:
    """Why a method can't train a model that reads with an encoder and writes with a decoder; None where it can."""
    if "text" in method.TAKES:
        return "plain text has no prompt for the encoder to read"
    return "they have no place for the head that gives scores" if "score" in method.NEEDS else None


def _check_data(
    name: str,
    method: Method,
    base: ModelFolder,
    train: Sequence[DataFacts],
    validation: DataFacts | None,
    held_out: DataFacts | None,
) -> None:
    for one in (*train, *((validation,) if validation else ())):
        if one.row_kind not in method.TAKES:
            raise Problem(
                "format_not_for_method",
                where=Where(field="data"),
                dataset=one.label,
                format=one.format,
                method=name,
                fitting=_fitting(method.TAKES),
            )
        if one.images:
            raise Problem(
                "images_not_learnt",
                where=Where(field="data"),
                dataset=one.label,
                method=name,
                fitting=_fitting(method.TAKES),
            )
    judged: set[RowKind] = {"preference"} if "score" in method.NEEDS else {"conversation", "preference"}
    if held_out is not None and held_out.row_kind not in judged:
        raise Problem(
            "format_not_for_method",
            where=Where(field="evaluate.dataset"),
            dataset=held_out.label,
            format=held_out.format,
            method="evaluate",
            fitting=_fitting(judged),
        )
    if held_out is not None and held_out.images:
        raise Problem(
            "images_not_learnt",
            where=Where(field="evaluate.dataset"),
            dataset=held_out.label,
            method="evaluate",
            fitting=_fitting(judged),
        )
    talks = any(one.row_kind != "text" for one in (*train, *((held_out,) if held_out else ())))
    if talks and not can_chat(base, load_family(base)):
        raise Problem("no_chat_template", where=Where(field="base_model"), name=base.path.name)


def _fitting(kinds: Collection[RowKind]) -> str:
    """Formats of such rows, of text alone."""
    return ", ".join(
        id for id, format in FORMATS.all() if format.ROW_KIND in kinds and not holds_images(format)
    )


def _check_minimum(found: MinimumRows) -> None:
    if found.counted < found.minimum:
        raise Problem(
            "too_few_rows",
            where=Where(field="data"),
            minimum=found.minimum,
            rows=f"{found.counted:,g}",
            arithmetic=found.arithmetic,
        )


@contextmanager
def _noting(wrong: list[Problem]) -> Iterator[None]:
    """A Problem raised in here is kept, to be told with the others."""
    try:
        yield
    except Problem as problem:
        wrong.extend(problem.parts)


def _expert_problems(given: dict[str, Any], base: ModelFolder) -> Iterator[Problem]:
    """lora_experts where there are none."""
    family = load_family(base)
    if given.get("lora_experts") and not family.EXPERTS:
        reason = f"Tunery knows of no experts in {family.TITLE} models"
        yield Problem(
            "setting_without_effect", where=Where(setting="lora_experts"), name="lora_experts", reason=reason
        )


def _useless_settings(
    given: dict[str, Any], values: dict[str, Any], validation: DataFacts | None
) -> Iterator[Problem]:
    """Settings about validation that do nothing in this run."""

    def useless(name: str, reason: str) -> Problem:
        return Problem("setting_without_effect", where=Where(setting=name), name=name, reason=reason)

    split = values["validation_split_ratio"] > 0
    if validation is not None and "validation_split_ratio" in given and split:
        yield useless("validation_split_ratio", "a validation dataset is set")
    has_rows = validation is not None or split
    if "eval_steps" in given and values["eval_steps"] and not has_rows:
        yield useless(
            "eval_steps", "there is no validation data; set a validation dataset or validation_split_ratio"
        )
    if "max_val_samples" in given and not has_rows:
        yield useless("max_val_samples", "there is no validation data")
    if has_rows and "eval_steps" in given and values["eval_steps"] == 0 and "eval_batch_size" in given:
        yield useless("eval_batch_size", "eval_steps is 0, so there is no validation")


def _check_evaluation(spec: RunSpec, held_out: DataFacts | None) -> None:
    if held_out is None:
        return
    scored = "score" in METHODS.load(spec.method).NEEDS
    for name in spec.evaluate.metrics:
        needs = METRICS.load(name).NEEDS
        if needs == "preference" and held_out.row_kind != "preference":
            reason = f"{held_out.label} has no rejected answers to compare with"
        elif scored and needs != "preference":
            reason = f"a model trained with {spec.method} outputs scores, not text"
        else:
            continue
        raise Problem(
            "setting_without_effect", where=Where(field="evaluate.metrics"), name=name, reason=reason
        )


def _metrics(spec: RunSpec, held_out: DataFacts | None) -> list[str]:
    """Those that are asked for, else those that say something about such rows and such a model."""
    if "metrics" in spec.evaluate.model_fields_set or held_out is None or held_out.row_kind != "preference":
        return spec.evaluate.metrics
    compared = ["preference_accuracy", "preference_margin"]
    return compared if "score" in METHODS.load(spec.method).NEEDS else [*compared, "loss"]
