"""From what a person wrote to what will run: every value, its origin, and what is refused."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.jobs.house import bare_model
from tunery.core.errors import Problem
from tunery.models.folder import inspect_folder
from tunery.schemas.run import ResolvedSpec, RunSpec
from tunery.services.resolve import DataFacts, resolve

ROWS = DataFacts("rows@1", "alpaca", "conversation", 120, "0" * 64)
TEXTS = DataFacts("texts@1", "corpus", "text", 120, "1" * 64)


@pytest.fixture
def asked(tmp_path: Path) -> Any:
    base = inspect_folder(bare_model(tmp_path))

    def ask(train: DataFacts = ROWS, validation: DataFacts | None = None, **fields: Any) -> ResolvedSpec:
        spec = RunSpec.model_validate({"base_model": "bare", "data": "rows", **fields})
        return resolve(
            spec,
            base=base,
            base_hash="2" * 64,
            train=[train],
            validation=validation,
            held_out=None,
            minimum_rows=100,
        )

    return ask


def code_of(ask: Any, **fields: Any) -> tuple[str, str | None]:
    with pytest.raises(Problem) as caught:
        ask(**fields)
    assert caught.value.message
    assert caught.value.cure
    return caught.value.code, caught.value.where.setting


def test_every_value_has_an_origin(asked: Any) -> None:
    found = asked(settings={"epochs": 2})
    assert set(found.origins) == set(found.spec.settings)
    assert found.origins["epochs"] == "user"
    assert found.origins["learning_rate"] == "recommended"
    assert found.origins["seed"] == "default"
    assert found.spec.settings["epochs"] == 2


def test_the_contract_s_defaults_stand_where_nothing_is_recommended(asked: Any) -> None:
    settings = asked(preset="default").spec.settings
    expected = {
        "learning_rate": 0.00001,
        "batch_size": 1,
        "epochs": 1,
        "gradient_accumulation_steps": 4,
        "checkpoint_steps": 1000,
        "finetuning_type": "lora",
    }
    assert {name: settings[name] for name in expected} == expected


def test_the_default_name_tells_base_and_time(asked: Any) -> None:
    assert re.fullmatch(r"ft_bare_\d{8}-\d{6}", asked().spec.name)


def test_a_resolved_spec_goes_through_yaml_unchanged(asked: Any) -> None:
    found = asked(settings={"lora_rank": 4}, description="a try")
    again = yaml.safe_load(yaml.safe_dump(found.model_dump(mode="json")))
    assert ResolvedSpec.model_validate(again) == found
    spec = RunSpec.model_validate(yaml.safe_load(yaml.safe_dump(found.spec.model_dump(mode="json"))))
    assert spec == found.spec


def test_the_length_is_the_model_s_at_most(asked: Any) -> None:
    found = asked(settings={"max_sequence_length": 4096})
    assert found.spec.settings["max_sequence_length"] == 64
    assert "4096" in found.notes[0]


@pytest.mark.parametrize(
    ("fields", "code", "setting"),
    [
        ({"method": "magic"}, "unknown_extension", None),
        ({"settings": {"learning_rat": 0.001}}, "unknown_setting", "learning_rat"),
        ({"settings": {"learning_rate": 0.1}}, "setting_out_of_range", "learning_rate"),
        ({"settings": {"epochs": 0}}, "setting_invalid", "epochs"),
        ({"settings": {"max_sequence_length": 1}}, "setting_invalid", "max_sequence_length"),
        ({"settings": {"finetuning_type": "full", "lora_rank": 4}}, "setting_without_effect", "lora_rank"),
        ({"settings": {"eval_steps": 5}}, "setting_without_effect", "eval_steps"),
        ({"settings": {"train_data_split_seed": 3}}, "setting_without_effect", "train_data_split_seed"),
        (
            {"validation": ROWS, "settings": {"validation_split_ratio": 0.1}},
            "setting_without_effect",
            "validation_split_ratio",
        ),
        ({"train": TEXTS}, "format_not_for_method", None),
        ({"train": DataFacts("few@1", "alpaca", "conversation", 99, "3" * 64)}, "too_few_rows", None),
    ],
)
def test_nonsense_is_refused_where_it_stands(
    asked: Any, fields: dict[str, Any], code: str, setting: str | None
) -> None:
    assert code_of(asked, **fields) == (code, setting)


def test_out_of_range_is_taken_from_who_insists(asked: Any) -> None:
    found = asked(settings={"learning_rate": 0.1}, allow_out_of_range=True)
    assert found.spec.settings["learning_rate"] == 0.1
