"""Settings of a training method: ranges, defaults, help and origins. Names are those of the product contract.

`range` is what a user is held to unless the spec says `allow_out_of_range`; the constraints of pydantic
(`ge`, `gt` …) are what makes sense at all. `only_with` names the setting without which this one does nothing.
"""

from collections.abc import Container, Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, Literal

from pydantic import Field, ValidationError, ValidationInfo, field_validator
from pydantic.fields import FieldInfo

from tunery.core.errors import Problem, Where
from tunery.schemas.base import Schema
from tunery.schemas.words import said, shown, takes

Origin = Literal["default", "recommended", "template", "continued", "user"]
"""`continued`: as in the earlier run whose model the training goes on from."""


def setting(
    default: Any,
    help: str,
    *,
    range: tuple[float, float] | None = None,
    only_with: Mapping[str, Any] | None = None,
    group: Literal["basic", "schedule", "lora", "validation", "checkpoints", "data", "advanced"] = "advanced",
    **constraints: Any,
) -> Any:
    """Declare one setting; see the module's docstring for `range` and `only_with`."""
    extra: dict[str, Any] = {"group": group}
    if range is not None:
        extra["range"] = list(range)
    if only_with is not None:
        extra["only_with"] = dict(only_with)
    return Field(default, description=help, json_schema_extra=extra, **constraints)


_AUTOMATIC_ROWS = 16


class TrainingSettings(Schema):
    """What every training method understands. A method's own `Settings` adds to it."""

    finetuning_type: Literal["lora", "full"] = setting(
        "lora", "Train a small adapter (lora) or all weights (full).", group="basic"
    )
    learning_rate: float = setting(
        0.00001, "Peak learning rate of the optimizer.", range=(0.00001, 0.001), gt=0, group="basic"
    )
    epochs: int = setting(1, "Number of passes over the training data.", ge=1, group="basic")
    batch_size: int = setting(1, "Rows per device and step.", ge=1, group="basic")
    gradient_accumulation_steps: int = setting(
        4,
        "Batches whose gradients are added up before one optimizer step; 0 = as many as make about 16 rows a step.",
        ge=0,
        group="basic",
    )
    max_sequence_length: int = setting(
        2048,
        "Maximum row length in tokens; longer rows are truncated. -1 = min(1024, the tokenizer's limit). "
        "Lowered to the model's limit if that is smaller.",
        ge=-1,
        group="basic",
    )
    packing: bool = setting(
        False,
        "Put several short rows in one sequence, none seeing another; a step then takes about "
        "batch_size × max_sequence_length tokens.",
        group="data",
    )
    max_steps: int = setting(
        -1, "Stop after this many optimizer steps; -1 = determined by the epochs.", ge=-1
    )
    lr_scheduler: Literal[
        "linear", "cosine", "cosine_with_restarts", "polynomial", "constant", "warmup_stable_decay"
    ] = setting(
        "linear",
        "How the learning rate decays after the warm-up. warmup_stable_decay: constant, then a decay at the end.",
        group="schedule",
    )
    lr_cosine_waves: float = setting(
        0.5,
        "Number of cosine cycles; 0.5 = falls to 0 once, 1.5 = falls, rises and falls again.",
        gt=0,
        group="schedule",
        only_with={"lr_scheduler": "cosine"},
    )
    lr_cosine_restarts: int = setting(
        2,
        "Number of cycles; in each, the learning rate decays to 0, then restarts at its peak.",
        ge=1,
        group="schedule",
        only_with={"lr_scheduler": "cosine_with_restarts"},
    )
    lr_polynomial_end: float = setting(
        0.0000001,
        "Final learning rate; must be below learning_rate.",
        ge=0,
        group="schedule",
        only_with={"lr_scheduler": "polynomial"},
    )
    lr_polynomial_power: float = setting(
        1.0,
        "Power of the polynomial; 1 = linear, 2 = falls fast, then slowly.",
        gt=0,
        group="schedule",
        only_with={"lr_scheduler": "polynomial"},
    )
    lr_decay_ratio: float = setting(
        0.1,
        "Fraction of the steps, at the end, over which the learning rate decays to 0.",
        gt=0,
        le=1,
        group="schedule",
        only_with={"lr_scheduler": "warmup_stable_decay"},
    )
    warmup_ratio: float = setting(
        0.0, "Fraction of the steps over which the learning rate rises from 0.", ge=0, lt=1, group="schedule"
    )
    weight_decay: float = setting(0.0, "Weight decay of the AdamW optimizer.", ge=0, group="schedule")
    max_grad_norm: float = setting(
        1.0, "Gradients are clipped to this norm; 0 = no clipping.", ge=0, group="schedule"
    )
    logging_steps: int = setting(1, "Number of steps between recorded metrics.", ge=1, group="checkpoints")
    checkpoint_steps: int = setting(
        1000, "Number of steps between checkpoints, which a run can resume from.", ge=1, group="checkpoints"
    )
    checkpoint_limit: int = setting(
        2,
        "Number of checkpoints to keep; the oldest is deleted first. The one with the lowest validation loss is kept "
        "as well.",
        ge=1,
        group="checkpoints",
    )
    eval_steps: int = setting(
        0, "Number of steps between validations; 0 = no validation.", ge=0, group="validation"
    )
    eval_batch_size: int = setting(8, "Rows per validation batch.", ge=1, group="validation")
    eval_samples: int = setting(
        3,
        "Validation rows that the model answers at each validation, for you to read; at most 64 tokens each and 10 s "
        "in all. 0 = none.",
        range=(0, 20),
        ge=0,
        group="validation",
        only_with={"eval_steps": "above 0"},
    )
    early_stopping: bool = setting(
        False,
        "Stop training when validation shows no further improvement; the model is kept as it is then.",
        group="validation",
        only_with={"eval_steps": "above 0"},
    )
    early_stopping_mode: Literal["change", "best"] = setting(
        "change",
        "change: the metric hardly changes between validations. best: it no longer beats its best value so was.",
        group="validation",
        only_with={"early_stopping": True},
    )
    early_stopping_metric: Literal["validation_loss", "train_loss"] = setting(
        "validation_loss",
        "Metric checked at each validation; lower is better.",
        group="validation",
        only_with={"early_stopping": True},
    )
    early_stopping_threshold: float = setting(
        0.001,
        "A change smaller than this doesn't count.",
        ge=0,
        group="validation",
        only_with={"early_stopping": True},
    )
    early_stopping_patience: int = setting(
        3,
        "Training stops after this many such validations in a row.",
        ge=1,
        group="validation",
        only_with={"early_stopping": True},
    )
    validation_split_ratio: float = setting(
        0.0,
        "Fraction of the rows set aside for validation if no validation dataset is set; at most 1000 are used, the "
        "rest go back to training.",
        ge=0,
        le=1,
        group="validation",
    )
    train_data_split_seed: int = setting(
        0,
        "Random seed of the validation split.",
        ge=0,
        group="validation",
        only_with={"validation_split_ratio": "above 0"},
    )
    max_train_samples: int = setting(
        -1, "Maximum number of training rows to use; -1 = all.", ge=-1, group="data"
    )
    max_val_samples: int = setting(
        -1, "Maximum number of validation rows to use; -1 = all, up to 1000.", ge=-1, group="validation"
    )
    neftune: float = setting(
        0.0,
        "Noise added to the embeddings during training (NEFTune) against memorisation; 5 is typical, 0 = none.",
        range=(0.0, 50.0),
        ge=0,
    )
    seed: int = setting(42, "Random seed for row order, dropout and new weights.", ge=0)
    int8_quantization: bool = setting(
        False,
        "Keep the base model in 8 bits while the adapter trains: about half the memory of 16 bits, slower steps. The "
        "adapter is evaluated and served on the base as it is.",
        group="lora",
        only_with={"finetuning_type": "lora", "nf4_quantization": False},
    )
    nf4_quantization: bool = setting(
        False,
        "Keep the base model in 4 bits while the adapter trains (QLoRA): about a quarter of the memory of 16 bits, "
        "slower steps. The adapter is evaluated and served on the base as it is.",
        group="lora",
        only_with={"finetuning_type": "lora", "int8_quantization": False},
    )
    lora_rank: int = setting(
        8, "Rank of the adapter's matrices.", ge=1, group="lora", only_with={"finetuning_type": "lora"}
    )
    lora_alpha: int = setting(
        32,
        "Scale of the adapter, divided by its rank; 2 to 4 times the rank is recommended.",
        ge=1,
        group="lora",
        only_with={"finetuning_type": "lora"},
    )
    lora_dropout: float = setting(
        0.0,
        "Dropout applied before the adapter. Adapters of experts can't have any.",
        ge=0,
        lt=1,
        group="lora",
        only_with={"finetuning_type": "lora", "lora_experts": False},
    )
    lora_rslora: bool = setting(
        False,
        "Divide alpha by the square root of the rank instead of the rank, so that high ranks keep learning.",
        group="lora",
        only_with={"finetuning_type": "lora"},
    )
    lora_dora: bool = setting(
        False,
        "Also learn how strong each output of a layer is (DoRA): closer to full training at small ranks, but slower "
        "steps, and answers that don't share a batch with those of other adapters.",
        group="lora",
        only_with={"finetuning_type": "lora"},
    )
    lora_experts: bool = setting(
        False,
        "In a mixture-of-experts model, also adapt the experts. Off: only attention gets an adapter, which is small "
        "and works in other servers. On: it learns more, but grows with the number of experts, doesn't share a "
        "batch when served, and vLLM or llama.cpp may not load it.",
        group="lora",
        only_with={"finetuning_type": "lora", "lora_dora": False},
    )
    lora_target_modules: list[str] | Literal["all-linear"] = setting(
        "all-linear",
        "Which layers get an adapter: names of layers, or all-linear. In a mixture-of-experts model all-linear means "
        "the attention; for the experts see lora_experts.",
        group="lora",
        only_with={"finetuning_type": "lora"},
    )

    @property
    def accumulation(self) -> int:
        """Batches a step, with the automatic number worked out."""
        return self.gradient_accumulation_steps or max(1, _AUTOMATIC_ROWS // self.batch_size)

    @field_validator("lr_polynomial_end")
    @classmethod
    def _falls(cls, value: float, info: ValidationInfo) -> float:
        peak = info.data.get("learning_rate")
        if info.data.get("lr_scheduler") == "polynomial" and peak is not None and value >= peak:
            raise ValueError(f"it must be below learning_rate, which is {peak:g}")
        return value

    @field_validator("max_sequence_length")
    @classmethod
    def _room_to_learn(cls, value: int) -> int:
        if value in (0, 1):
            raise ValueError("a row needs at least 2 tokens; -1 = automatic")
        return value


Preset = Mapping[str, Any]
"""Values a method recommends, by setting name; they may depend on finetuning_type through `presets`."""


@dataclass(frozen=True)
class Checked:
    """What became of the settings someone wrote."""

    settings: TrainingSettings
    """Every value filled in; a wrong one as if it had been left out."""
    origins: dict[str, Origin]
    problems: list[Problem]
    """Everything that is wrong, each placed at its setting."""


def resolve_settings(
    method: str,
    schema: type[TrainingSettings],
    given: Mapping[str, Any],
    recommended: Preset,
    *,
    allow_out_of_range: bool,
) -> tuple[TrainingSettings, dict[str, Origin]]:
    """Fill in every value and say where each came from. Raises what `check_settings` finds, as one Problem."""
    checked = check_settings(method, schema, given, recommended, allow_out_of_range=allow_out_of_range)
    if checked.problems:
        raise Problem.together(checked.problems)
    return checked.settings, checked.origins


def check_settings(
    method: str,
    schema: type[TrainingSettings],
    given: Mapping[str, Any],
    recommended: Preset,
    *,
    allow_out_of_range: bool,
) -> Checked:
    """Fill in every value, say where each came from, and find all that is wrong.

    Problems: `unknown_setting`, `setting_invalid`, `setting_out_of_range`, `setting_without_effect`.
    """
    fields = schema.model_fields
    problems = [_unknown(name, fields, method) for name in given if name not in fields]
    preset = {name: value for name, value in recommended.items() if name in fields}
    known = {name: value for name, value in given.items() if name in fields}
    settings, wrong = _validated(schema, {**preset, **known})
    idle = [name for name in preset if name not in known and missing_for(fields[name], settings.model_dump())]
    if idle:
        preset = {name: value for name, value in preset.items() if name not in idle}
        settings, wrong = _validated(schema, {**preset, **known})
    for name, error in wrong.items():
        problems.append(_invalid(name, error, fields, known, preset, method))
    sound = [name for name in known if name not in wrong and "" not in wrong]
    for name in sound:
        problems += _range_problems(name, fields[name], getattr(settings, name), allow_out_of_range)
        problems += _effect_problems(name, fields[name], settings, wrong)
    origins: dict[str, Origin] = {
        name: "user" if name in known else "recommended" if name in preset else "default" for name in fields
    }
    return Checked(settings, origins, problems)


def _validated(
    schema: type[TrainingSettings], values: dict[str, Any]
) -> tuple[TrainingSettings, dict[str, Mapping[str, Any]]]:
    """The settings, and the first error of each value that isn't in them; "" stands for several together."""
    wrong: dict[str, Mapping[str, Any]] = {}
    while True:
        try:
            return schema.model_validate({k: v for k, v in values.items() if k not in wrong}), wrong
        except ValidationError as error:
            for one in error.errors(include_url=False):
                wrong.setdefault(str(one["loc"][0]) if one["loc"] else "", one)
            if "" in wrong:
                return schema(), wrong


def _unknown(name: str, fields: Mapping[str, FieldInfo], method: str) -> Problem:
    near = get_close_matches(name, fields, n=3) or sorted(fields)
    return Problem(
        "unknown_setting", where=Where(setting=name), method=method, name=name, near=", ".join(near)
    )


def _invalid(
    name: str,
    error: Mapping[str, Any],
    fields: Mapping[str, FieldInfo],
    known: Mapping[str, Any],
    preset: Preset,
    method: str,
) -> Problem:
    if name not in fields:
        detail = f"The settings contradict each other: {said(error)}."
        return Problem("spec_invalid", where=Where(field="settings"), detail=detail)
    return Problem(
        "setting_invalid",
        where=Where(setting=name),
        name=name,
        value=known.get(name),
        detail=said(error) if error["type"] == "value_error" else f"it must be {takes(fields[name])}",
        instead=shown(preset.get(name, fields[name].default)),
        method=method,
    )


def missing_for(info: FieldInfo, values: Mapping[str, Any]) -> dict[str, Any]:
    """What a setting would need to have an effect, and doesn't find in the others' values."""
    needs: dict[str, Any] = extra_of(info).get("only_with", {})
    return {
        other: needed
        for other, needed in needs.items()
        if not (values[other] > 0 if needed == "above 0" else values[other] == needed)
    }


def extra_of(info: FieldInfo) -> dict[str, Any]:
    """What `setting()` declared beyond type, default and help."""
    return info.json_schema_extra if isinstance(info.json_schema_extra, dict) else {}


def _range_problems(name: str, info: FieldInfo, value: Any, allowed: bool) -> Iterator[Problem]:
    bounds = extra_of(info).get("range")
    if bounds is None or allowed:
        return
    low, high = bounds
    if not low <= value <= high:
        yield Problem(
            "setting_out_of_range",
            where=Where(setting=name),
            name=name,
            value=shown(value),
            low=shown(low),
            high=shown(high),
        )


def _effect_problems(
    name: str, info: FieldInfo, settings: TrainingSettings, wrong: Container[str]
) -> Iterator[Problem]:
    values = settings.model_dump()
    for other, needed in missing_for(info, values).items():
        if other not in wrong:
            wanted = needed if needed == "above 0" else f"= {shown(needed)}"
            reason = f"it needs {other} {wanted}, and {other} is {shown(values[other])}"
            yield Problem("setting_without_effect", where=Where(setting=name), name=name, reason=reason)
