"""A RunSpec from an object, a dict or a YAML file."""

from pathlib import Path

import pytest

from tunery.core.errors import Problem
from tunery.schemas.run import RunSpec
from tunery.sdk.spec import to_spec

FIELDS = {"base_model": "bare", "data": "rows", "settings": {"epochs": 2}}


def test_three_ways_are_one(tmp_path: Path) -> None:
    file = tmp_path / "run.yaml"
    file.write_text("base_model: bare\ndata: rows\nsettings: {epochs: 2}\n")
    spec = RunSpec.model_validate(FIELDS)
    assert to_spec(spec) is spec
    assert to_spec(FIELDS) == to_spec(file) == to_spec(str(file)) == spec


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"data": "rows"}, "base_model is missing"),
        ({**FIELDS, "speed": "fast"}, "speed is not a field of a run"),
        ({**FIELDS, "data": {"train": []}}, "data.train: "),
        ({**FIELDS, "evaluate": {"max_rows": 0}}, "evaluate.max_rows: "),
    ],
)
def test_the_wrong_field_is_named(fields: dict, said: str) -> None:
    with pytest.raises(Problem) as caught:
        to_spec(fields)
    assert caught.value.code == "spec_invalid"
    assert caught.value.message.startswith(said)
    assert caught.value.where.field is not None


def test_a_dataset_version_is_written_as_it_is_shown() -> None:
    spec = to_spec({"base_model": "b", "data": "orders@2", "evaluate": {"dataset": "held-out@1"}})
    assert spec.data.train[0].label == "orders@2"
    assert (spec.data.train[0].dataset, spec.data.train[0].version) == ("orders", 2)
    assert spec.evaluate.dataset is not None
    assert spec.evaluate.dataset.label == "held-out@1"
