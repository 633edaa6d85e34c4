"""What each method takes, how it may be set, and by what its result can be judged; refused before anything starts."""

from pathlib import Path
from typing import Any

import pytest

from tests.jobs.house import bare_model
from tunery.core.errors import Problem
from tunery.data.formats.point import FORMATS
from tunery.methods.point import METHODS, writes_text
from tunery.models.folder import inspect_folder
from tunery.schemas.run import ResolvedSpec, RunSpec
from tunery.services.resolve import DataFacts, resolve

TAKES = {
    "pretrain": "text",
    "sft": "conversation",
    "dpo": "preference",
    "orpo": "preference",
    "reward": "preference",
    "kto": "labelled",
}
FORMAT_OF = {"conversation": "alpaca", "text": "corpus", "preference": "preference", "labelled": "kto"}


def facts(kind: str) -> DataFacts:
    return DataFacts(f"{kind}@1", FORMAT_OF[kind], kind, 120, "0" * 64)  # pyright: ignore[reportArgumentType]


@pytest.fixture
def asked(tmp_path: Path) -> Any:
    base = inspect_folder(bare_model(tmp_path))

    def ask(method: str, kind: str, held_out: str | None = None, **fields: Any) -> ResolvedSpec:
        evaluate = {"evaluate": {"dataset": "held", **fields.pop("evaluate", {})}} if held_out else {}
        return resolve(
            RunSpec.model_validate(
                {"base_model": "bare", "data": "rows", "method": method, **evaluate, **fields}
            ),
            base=base,
            base_hash="2" * 64,
            train=[facts(kind)],
            validation=None,
            held_out=facts(held_out) if held_out else None,
            minimum_rows=100,
        )

    return ask


def refused(ask: Any, *given: Any, **fields: Any) -> Problem:
    with pytest.raises(Problem) as caught:
        ask(*given, **fields)
    return caught.value


@pytest.mark.parametrize("kind", FORMAT_OF)
@pytest.mark.parametrize("method", TAKES)
def test_rows_of_another_kind_are_refused_and_the_fitting_formats_named(
    asked: Any, method: str, kind: str
) -> None:
    assert {TAKES[method]} == METHODS.load(method).TAKES
    if kind == TAKES[method]:
        assert asked(method, kind).spec.method == method
        return
    problem = refused(asked, method, kind)
    assert problem.code == "format_not_for_method"
    fitting = set(problem.params["fitting"].split(", "))
    assert FORMAT_OF[TAKES[method]] in fitting
    assert all(TAKES[method] == FORMATS.load(name).ROW_KIND for name in fitting)


@pytest.mark.parametrize(
    ("method", "setting", "value", "code"),
    [
        ("dpo", "beta", 2.0, "setting_out_of_range"),
        ("dpo", "beta", 0, "setting_invalid"),
        ("dpo", "loss_type", "hinge", "setting_invalid"),
        ("kto", "batch_size", 1, "setting_invalid"),
        ("kto", "desirable_weight", 50, "setting_out_of_range"),
        ("orpo", "loss_type", "sigmoid", "unknown_setting"),
        ("reward", "beta", 0.1, "unknown_setting"),
        ("sft", "beta", 0.1, "unknown_setting"),
    ],
)
def test_values_that_make_no_sense_are_refused_at_their_setting(
    asked: Any, method: str, setting: str, value: Any, code: str
) -> None:
    problem = refused(asked, method, TAKES[method], settings={setting: value})
    assert (problem.code, problem.where.setting) == (code, setting)


def test_the_metrics_are_those_that_say_something(asked: Any) -> None:
    def metrics(method: str, held_out: str, **fields: Any) -> list[str]:
        return asked(method, TAKES[method], held_out, **fields).spec.evaluate.metrics

    assert metrics("sft", "conversation") == ["exact_match", "loss"]
    assert metrics("dpo", "conversation") == ["exact_match", "loss"]
    assert metrics("dpo", "preference") == ["preference_accuracy", "preference_margin", "loss"]
    assert metrics("reward", "preference") == ["preference_accuracy", "preference_margin"]
    chosen = {"evaluate": {"metrics": ["loss"]}}
    assert metrics("dpo", "preference", **chosen) == ["loss"]


@pytest.mark.parametrize(
    ("method", "held_out", "metric", "code"),
    [
        ("reward", "conversation", "preference_accuracy", "format_not_for_method"),
        ("reward", "preference", "exact_match", "setting_without_effect"),
        ("dpo", "conversation", "preference_margin", "setting_without_effect"),
        ("dpo", "text", "loss", "format_not_for_method"),
    ],
)
def test_what_could_not_be_measured_is_refused(
    asked: Any, method: str, held_out: str, metric: str, code: str
) -> None:
    problem = refused(asked, method, TAKES[method], held_out, evaluate={"metrics": [metric]})
    assert code in {part.code for part in problem.parts}


def test_only_a_method_with_a_head_for_scores_leaves_a_model_that_writes_nothing() -> None:
    assert [name for name in TAKES if not writes_text(name)] == ["reward"]


def test_accumulation_left_to_the_product_makes_about_16_rows_a_step(asked: Any) -> None:
    for batch_size, expected in ((1, 16), (4, 4), (6, 2), (32, 1)):
        settings = {"gradient_accumulation_steps": 0, "batch_size": batch_size}
        found = asked("sft", "conversation", settings=settings).spec.settings
        assert found["gradient_accumulation_steps"] == expected
