"""A job is a line of runs: the next starts from the last one's settings, and some things stay as they are."""

import pytest
import yaml
from sqlalchemy import update

from tests.continuing.conftest import FULL, Place
from tests.jobs.house import bare_model
from tunery.core.errors import Problem
from tunery.db.tables import job
from tunery.schemas.run import RunSpec
from tunery.sdk.spec import to_yaml
from tunery.services import runs


def test_the_next_run_starts_from_the_last_ones_settings(place: Place) -> None:
    with place.context() as ctx:
        written = runs.spec_of(ctx, "line")
    fields = yaml.safe_load(to_yaml(written))
    assert fields["settings"] == {**FULL, "validation_split_ratio": 0.25, "train_data_split_seed": 3}
    again = place.done(**fields)
    assert (again.name, again.number) == ("line", 2)
    first = place.run("line #1")
    assert again.resolved.spec == first.resolved.spec
    assert again.resolved.origins == first.resolved.origins
    assert again.resolved.recipe_hash == first.resolved.recipe_hash
    continued = place.done(name="on", continue_from="line #1", data="second", settings={"max_steps": 2})
    with place.context() as ctx:
        assert runs.spec_of(ctx, "on").continue_from == continued.resolved.spec.continue_from


def test_its_base_model_changes_only_between_runs(place: Place) -> None:
    other = str(bare_model(place.folder, "other"))
    slow = {"data": "first", "settings": {"finetuning_type": "full", "max_steps": 100_000}}
    going = place.create(name="line", base_model=str(place.model), **slow)
    with pytest.raises(Problem) as caught:
        place.resolve(name="line", base_model=other, **slow)
    assert (caught.value.code, caught.value.params["run"]) == ("job_base_fixed", "line #2")
    assert place.resolve(name="line", base_model=str(place.model), **slow).spec.name == "line"
    assert place.resolve(name="elsewhere", base_model=other, **slow).spec.base_model == other
    place.ask(going.id, "cancel")
    place.wait_for_state(going.id, "cancelled")
    assert place.create(name="line", base_model=other, data="first", settings=FULL).number == 3


def test_it_keeps_its_task(place: Place) -> None:
    with place.context() as ctx:
        ctx.conn.execute(update(job).values(task="text-to-image"))
        spec = RunSpec(name="line", base_model=str(place.model), data="first")  # pyright: ignore[reportArgumentType]
        with pytest.raises(Problem) as caught:
            runs.resolve(ctx, spec)
    assert caught.value.code == "job_task_fixed"
