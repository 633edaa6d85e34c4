"""Advice before a run: said where it applies, with its figures, and nowhere else; it refuses nothing."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.jobs.house import bare_model
from tunery.models.folder import inspect_folder
from tunery.schemas.run import RunSpec
from tunery.services.recipe import DataFacts
from tunery.services.resolve import resolve

ROWS = DataFacts("rows@1", "alpaca", "conversation", 2000, "0" * 64)
USUAL = (120, 300, 700, 950)
"""Tokens of rows that were looked at."""


@pytest.fixture
def notes(tmp_path: Path) -> Any:
    folder = bare_model(tmp_path)
    config = folder / "config.json"
    config.write_text(config.read_text().replace("64", "100000"))
    base = inspect_folder(folder)

    def ask(facts: dict[str, Any] | None = None, **settings: Any) -> list[str]:
        return resolve(
            RunSpec.model_validate({"base_model": "bare", "data": "rows", "settings": settings}),
            base=base,
            base_hash="2" * 64,
            train=[replace(ROWS, **(facts or {}))],
            validation=None,
            held_out=None,
            minimum_rows=100,
        ).notes

    return ask


def test_what_is_recommended_needs_no_advice(notes: Any) -> None:
    assert notes({"lengths": USUAL}) == []
    assert notes(finetuning_type="full") == []


@pytest.mark.parametrize(
    ("facts", "settings", "says"),
    [
        (
            {"rows": 12_000},
            {"epochs": 8},
            "more than 10,000 rows (12,000 here) at most 5 epochs are advised, not 8",
        ),
        ({}, {"epochs": 8}, "1 to 5 epochs are usual, and 8 are asked for"),
        ({"rows": 120}, {"epochs": 1}, "15 steps are few to learn from"),
        ({}, {"epochs": 1, "learning_rate": 1e-5}, "1e-05 hardly moves an adapter in one epoch of 250 steps"),
        (
            {},
            {"lora_rank": 16, "lora_alpha": 8},
            "lora_alpha is 0.5 times lora_rank; 2 to 4 times is usual (32 to 64)",
        ),
        ({"lengths": (*USUAL, 3000)}, {}, "About 20% of the rows are longer than max_sequence_length 2,048"),
        (
            {"lengths": USUAL},
            {"packing": True, "max_sequence_length": 8192},
            "choose max_sequence_length 1,024",
        ),
        (
            {"lengths": (*USUAL, 3900)},
            {"packing": True, "max_sequence_length": 8192},
            "choose max_sequence_length 4,096",
        ),
        ({"lengths": USUAL, "per_token": 0.5, "foreign": 0.9}, {}, "hold only 0.5 characters of rows@1"),
    ],
)
def test_each_is_said_where_it_applies(notes: Any, facts: Any, settings: Any, says: str) -> None:
    assert [note for note in notes(facts, **settings) if says in note], notes(facts, **settings)


@pytest.mark.parametrize(
    ("facts", "settings"),
    [
        ({"rows": 12_000}, {"epochs": 5}),
        ({"rows": 120}, {"epochs": 1, "max_steps": 5}),
        ({}, {"lora_rank": 8, "lora_alpha": 32}),
        ({"lengths": USUAL}, {"max_sequence_length": 8192}),
        ({"lengths": USUAL, "per_token": 1.6, "foreign": 0.9}, {}),
        ({"lengths": USUAL, "per_token": 0.5, "foreign": 0.0}, {}),
    ],
)
def test_and_not_where_it_does_not(notes: Any, facts: Any, settings: Any) -> None:
    assert notes(facts, **settings) == []
