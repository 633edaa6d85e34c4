"""A house with datasets of its own and an earlier run of each kind of outcome; the engine is the fake one."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.jobs.house import FAKE_ENGINE, House, bare_model
from tests.recipes.rows import question, write
from tunery.core.settings import ServerSettings
from tunery.schemas.run import RunDetail, RunSpec
from tunery.services import runs
from tunery.services.datasets import list_datasets

FULL = {"finetuning_type": "full", "max_steps": 7}


class Place(House):
    """What these tests ask of a house."""

    model: Path

    def create(self, **fields: Any) -> RunDetail:
        with self.context() as ctx:
            return runs.submit(ctx, RunSpec.model_validate(fields))

    def resolve(self, **fields: Any) -> Any:
        with self.context() as ctx:
            return runs.resolve(ctx, RunSpec.model_validate(fields))

    def has_rows(self) -> bool:
        with self.context() as ctx:
            return all(one.latest and one.latest.state == "published" for one in list_datasets(ctx).data)

    def done(self, **fields: Any) -> RunDetail:
        return self.wait_for_state(self.create(**fields).id, "succeeded")


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    """Datasets `first` and `second` of 200 conversations, `pairs` of 120 preferences; a worker; `line #1`."""
    made = Place(
        tmp_path, ServerSettings(data=tmp_path / "data", engine_command=FAKE_ENGINE, standby_engines=0)
    )
    made.model = bare_model(tmp_path)
    try:
        for name in ("first", "second"):
            rows = [question(f"Where is the {name} thing {n}?", f"{name} {n}") for n in range(200)]
            made.import_rows(name, write(tmp_path / f"{name}.jsonl", rows))
        pairs = [{"prompt": f"Say {n}", "chosen": f"It is {n}.", "rejected": "No."} for n in range(120)]
        made.import_rows("pairs", write(tmp_path / "pairs.jsonl", pairs))
        made.start_worker()
        made.wait("the rows", made.has_rows)
        made.done(
            name="line",
            base_model=str(made.model),
            data="first",
            settings={**FULL, "validation_split_ratio": 0.25, "train_data_split_seed": 3},
        )
        yield made
    finally:
        made.close()
