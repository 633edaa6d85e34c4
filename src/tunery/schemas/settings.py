"""Settings of a training method: ranges, defaults, help and origins. Names are those of the product contract.

`range` is what a user is held to unless the spec says `allow_out_of_range`; the constraints of pydantic
(`ge`, `gt` …) are what makes sense at all. `only_with` names the setting without which this one does nothing.
"""

from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any, Literal

from pydantic import Field, ValidationError, field_validator
from pydantic.fields import FieldInfo

from tunery.core.errors import Problem, Where
from tunery.schemas.base import Schema

Origin = Literal["default", "recommended", "template", "user"]


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


class TrainingSettings(Schema):
    """What every training method understands. A method's own `Settings` adds to it."""

    finetuning_type: Literal["lora", "full"] = setting(
        "lora", "Train a small adapter (lora) or every weight (full).", group="basic"
    )
    learning_rate: float = setting(
        0.00001, "Step size of the optimizer at its peak.", range=(0.00001, 0.001), gt=0, group="basic"
    )
    epochs: int = setting(1, "How often the training data is gone through.", ge=1, group="basic")
    batch_size: int = setting(1, "Rows per step and device.", ge=1, group="basic")
    gradient_accumulation_steps: int = setting(
        4, "Batches whose gradients are added up before one optimizer step.", ge=1, group="basic"
    )
    max_sequence_length: int = setting(
        2048,
        "Longest row in tokens; longer ones are cut. -1 = min(1024, the tokenizer's limit). "
        "Lowered to the model's limit where that is smaller.",
        ge=-1,
        group="basic",
    )
    packing: bool = setting(
        False,
        "Put several short rows in one sequence, none seeing another; a step then takes about "
        "batch_size × max_sequence_length tokens.",
        group="data",
    )
    max_steps: int = setting(-1, "Stop after so many optimizer steps; -1 = as the epochs need.", ge=-1)
    lr_scheduler: Literal["linear", "cosine", "constant"] = setting(
        "linear", "How the learning rate falls after the warm-up.", group="schedule"
    )
    warmup_ratio: float = setting(
        0.0, "Share of the steps over which the learning rate rises from zero.", ge=0, lt=1, group="schedule"
    )
    weight_decay: float = setting(0.0, "Pull of the weights towards zero (AdamW).", ge=0, group="schedule")
    max_grad_norm: float = setting(
        1.0, "Gradients are scaled down to this norm; 0 = never.", ge=0, group="schedule"
    )
    logging_steps: int = setting(1, "Record metrics every so many steps.", ge=1, group="checkpoints")
    checkpoint_steps: int = setting(
        1000, "Save a resumable checkpoint every so many steps.", ge=1, group="checkpoints"
    )
    checkpoint_limit: int = setting(
        2, "How many checkpoints are kept; the oldest goes first.", ge=1, group="checkpoints"
    )
    eval_steps: int = setting(
        0, "Measure the validation loss every so many steps; 0 = no validation.", ge=0, group="validation"
    )
    eval_batch_size: int = setting(8, "Rows per batch of the validation.", ge=1, group="validation")
    validation_split_ratio: float = setting(
        0.0,
        "Share of the rows set aside for validation where no validation set is named.",
        ge=0,
        lt=1,
        group="validation",
    )
    train_data_split_seed: int = setting(
        0, "Seed of that split.", ge=0, group="validation", only_with={"validation_split_ratio": "above 0"}
    )
    max_train_samples: int = setting(-1, "Use at most so many training rows; -1 = all.", ge=-1, group="data")
    max_val_samples: int = setting(
        -1, "Use at most so many validation rows; -1 = all, up to 1000.", ge=-1, group="validation"
    )
    seed: int = setting(42, "Seed of order, dropout and new weights.", ge=0)
    lora_rank: int = setting(
        8, "Rank of the adapter's matrices.", ge=1, group="lora", only_with={"finetuning_type": "lora"}
    )
    lora_alpha: int = setting(
        32,
        "Scale of the adapter, divided by the rank; 2 to 4 times the rank is advised.",
        ge=1,
        group="lora",
        only_with={"finetuning_type": "lora"},
    )
    lora_dropout: float = setting(
        0.0, "Dropout before the adapter.", ge=0, lt=1, group="lora", only_with={"finetuning_type": "lora"}
    )
    lora_target_modules: list[str] | Literal["all-linear"] = setting(
        "all-linear", "Which layers get an adapter.", group="lora", only_with={"finetuning_type": "lora"}
    )

    @field_validator("max_sequence_length")
    @classmethod
    def _room_to_learn(cls, value: int) -> int:
        if value in (0, 1):
            raise ValueError("a row needs at least 2 tokens; -1 = automatic")
        return value


Preset = Mapping[str, Any]
"""Values a method recommends, by setting name; they may depend on finetuning_type through `presets`."""


def resolve_settings(
    method: str,
    schema: type[TrainingSettings],
    given: Mapping[str, Any],
    recommended: Preset,
    *,
    allow_out_of_range: bool,
) -> tuple[TrainingSettings, dict[str, Origin]]:
    """Fill in every value and say where each came from.

    Raises Problem `unknown_setting`, `setting_invalid`, `setting_out_of_range`, `setting_without_effect`.
    """
    fields = schema.model_fields
    for name in given:
        if name not in fields:
            near = get_close_matches(name, fields, n=3) or sorted(fields)
            raise Problem(
                "unknown_setting", where=Where(setting=name), method=method, name=name, near=", ".join(near)
            )
    values = {**{k: v for k, v in recommended.items() if k in fields}, **given}
    try:
        settings = schema.model_validate(values)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        name = str(first["loc"][0]) if first["loc"] else "settings"
        raise Problem(
            "setting_invalid",
            where=Where(setting=name),
            name=name,
            value=values.get(name),
            detail=first["msg"],
            method=method,
        ) from error
    origins: dict[str, Origin] = {
        name: "user" if name in given else "recommended" if name in values else "default" for name in fields
    }
    for name in given:
        _check_range(name, fields[name], getattr(settings, name), allow_out_of_range)
        _check_effect(name, fields[name], settings)
    return settings, origins


def extra_of(info: FieldInfo) -> dict[str, Any]:
    """What `setting()` declared beyond type, default and help."""
    return info.json_schema_extra if isinstance(info.json_schema_extra, dict) else {}


def _check_range(name: str, info: FieldInfo, value: Any, allowed: bool) -> None:
    bounds = extra_of(info).get("range")
    if bounds is None or allowed:
        return
    low, high = bounds
    if not low <= value <= high:
        raise Problem(
            "setting_out_of_range", where=Where(setting=name), name=name, value=value, low=low, high=high
        )


def _check_effect(name: str, info: FieldInfo, settings: TrainingSettings) -> None:
    for other, needed in extra_of(info).get("only_with", {}).items():
        actual = getattr(settings, other)
        fits = actual > 0 if needed == "above 0" else actual == needed
        if not fits:
            reason = f"it needs {other} {needed if needed == 'above 0' else f'= {needed}'}, and {other} is {actual}"
            raise Problem("setting_without_effect", where=Where(setting=name), name=name, reason=reason)
