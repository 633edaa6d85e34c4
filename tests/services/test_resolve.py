"""From what a person wrote to what will run: every value, its origin, and what is refused."""

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.jobs.house import bare_model
from tunery.core.error_kinds import KINDS
from tunery.core.errors import Problem
from tunery.models.folder import inspect_folder
from tunery.schemas.run import ResolvedSpec, RunSpec
from tunery.services.resolve import DataFacts, resolve

ROWS = DataFacts("rows@1", "alpaca", "conversation", 120, "0" * 64)
TEXTS = DataFacts("texts@1", "corpus", "text", 120, "1" * 64)


@pytest.fixture
def asked(tmp_path: Path) -> Any:
    base = inspect_folder(bare_model(tmp_path))

    def ask(
        train: DataFacts = ROWS,
        validation: DataFacts | None = None,
        family: str = "llama",
        config: dict[str, Any] | None = None,
        **fields: Any,
    ) -> ResolvedSpec:
        spec = RunSpec.model_validate({"base_model": "bare", "data": "rows", **fields})
        return resolve(
            spec,
            base=replace(base, family=family, config={**base.config, **(config or {})}),
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


def test_a_run_says_that_the_rows_of_some_families_are_read_one_at_a_time(asked: Any) -> None:
    assert not any("one at a time" in note for note in asked().notes)
    for family, title in (("rwkv", "RWKV"), ("bloom", "BLOOM")):
        (note,) = [note for note in asked(family=family).notes if "one at a time" in note]
        assert title in note
        assert "packing" not in note
    (note,) = [
        note for note in asked(family="gptj", settings={"packing": True}).notes if "one at a time" in note
    ]
    assert "packing" in note


def test_a_model_with_an_encoder_learns_answers_and_no_plain_text_nor_scores(asked: Any) -> None:
    (note,) = [note for note in asked(family="t5").notes if "encoder" in note]
    assert "one row at a time" in note
    pairs = DataFacts("pairs@1", "preference", "preference", 120, "5" * 64)
    assert asked(family="t5", train=pairs, method="dpo").notes
    for method, rows in (("pretrain", TEXTS), ("reward", pairs)):
        with pytest.raises(Problem) as caught:
            asked(family="t5", train=rows, method=method)
        assert caught.value.code == "method_not_for_model"
        assert "(dpo, kto, orpo, sft)" in caught.value.cure
    other = {"is_encoder_decoder": True, "model_type": "bart"}
    assert code_of(asked, config=other)[0] == "encoder_decoder_unknown"


def test_experts_are_adapted_only_where_there_are_some(asked: Any) -> None:
    assert code_of(asked, settings={"lora_experts": True}) == ("setting_without_effect", "lora_experts")
    found = asked(family="mixtral", settings={"lora_experts": True})
    # What is recommended for other adapters makes no sense here, so it isn't taken.
    assert asked(family="mixtral").spec.settings["lora_dropout"] > 0
    assert (found.spec.settings["lora_dropout"], found.origins["lora_dropout"]) == (0.0, "default")


def test_fewer_bits_are_for_adapters_and_leave_experts_as_they_are(asked: Any) -> None:
    both = {"int8_quantization": True, "nf4_quantization": True}
    assert code_of(asked, settings=both)[0] == "setting_without_effect"
    full = {"finetuning_type": "full", "nf4_quantization": True}
    assert code_of(asked, settings=full) == ("setting_without_effect", "nf4_quantization")
    assert not any("experts" in note for note in asked(settings={"nf4_quantization": True}).notes)
    notes = asked(family="mixtral", settings={"nf4_quantization": True}).notes
    assert any("experts" in note for note in notes)


def test_rows_with_images_are_refused_before_a_run(asked: Any) -> None:
    pictures = DataFacts("pictures@1", "sharegpt_image", "conversation", 120, "3" * 64, images=True)
    with pytest.raises(Problem) as caught:
        asked(train=pictures)
    assert caught.value.code == "images_not_learnt"
    assert "contains images; sft trains on text only" in caught.value.message
    assert "sharegpt" in caught.value.cure
    assert "image" not in caught.value.cure.partition(":")[2]
    assert code_of(asked, validation=pictures, settings={"eval_steps": 1})[0] == "images_not_learnt"
    captions = DataFacts("captions@1", "image_caption", "captioned", 120, "4" * 64, images=True)
    assert code_of(asked, train=captions)[0] == "format_not_for_method"


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


def test_everything_wrong_is_told_at_once_each_at_its_place(asked: Any) -> None:
    wrong = {"epochs": 0, "learning_rate": 0.1, "batch_size": "many", "lorra": 1, "eval_steps": 5}
    with pytest.raises(Problem) as caught:
        asked(train=TEXTS, settings=wrong)
    told = {part.where.setting or part.where.field: part for part in caught.value.parts}
    assert set(told) == {*wrong, "data"}
    assert told["epochs"].message == "epochs can't be 0: it must be a whole number of at least 1."
    assert told["epochs"].cure == "Correct it, or leave it out to use 3."
    assert told["learning_rate"].message == "learning_rate = 0.1 is outside the range 0.00001 … 0.001."
    assert "lora_rank" in told["lorra"].cure


def test_a_wrong_setting_doesn_t_make_others_look_wrong(asked: Any) -> None:
    wrong = {"validation_split_ratio": "half", "train_data_split_seed": 3, "eval_steps": 2}
    with pytest.raises(Problem) as caught:
        asked(settings=wrong)
    assert [part.where.setting for part in caught.value.parts] == ["validation_split_ratio"]


def test_several_problems_survive_being_stored(asked: Any) -> None:
    with pytest.raises(Problem) as caught:
        asked(settings={"epochs": 0, "seed": -1})
    stored = caught.value.as_dict()
    assert Problem.from_dict(stored).as_dict() == stored
    assert len(stored["errors"]) == 2


def test_only_what_the_command_line_is_told_names_its_commands() -> None:
    only_there = {
        "not_authenticated",  # a token can be had nowhere else
        "no_server",
        "needs_server",  # these arise in training without a server
        "out_folder_taken",
        "resume_differs",
        "attempt_folder_invalid",
    }
    asked = {code: kind.cure for code, kind in KINDS.items() if kind.status < 500}
    assert {code for code, cure in asked.items() if "`tunery" in cure or "`--" in cure} <= only_there


def test_the_outlook_counts_rows_and_steps(asked: Any) -> None:
    settings = {"epochs": 2, "batch_size": 8, "gradient_accumulation_steps": 2, "validation_split_ratio": 0.1}
    found = asked(settings=settings).outlook.model_dump()
    assert found == {
        "rows": 108,
        "validation_rows": 12,
        "held_out_rows": 0,
        "rows_per_step": 16,
        "steps": 14,
        "rough": False,
    }
    assert asked(settings={"max_steps": 3}).outlook.steps == 3
    assert asked(settings={"packing": True}).outlook.rough
