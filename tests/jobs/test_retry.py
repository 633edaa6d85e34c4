"""A run that is over is retried from a stage: the next run of its name, with what the stages before had made."""

from pathlib import Path

import pytest
from sqlalchemy import update

from tests.jobs.house import House
from tests.jobs.test_survival import imported
from tunery.core.attempt import attempt_folder
from tunery.core.errors import Problem
from tunery.db.engine import writing
from tunery.db.tables import evaluation, run
from tunery.jobs import stages
from tunery.jobs.states import move_run
from tunery.schemas.run import RunDetail
from tunery.services import dataset_deletion, retry, runs

STEPS = 60
PUBLISHED = {"publish": {"auto": True, "name": "kept"}}
JUDGED = {"evaluate": {"dataset": {"dataset": "rows"}, "max_rows": 2}, **PUBLISHED}


@pytest.fixture
def working(house: House) -> House:
    house.start_worker()
    house.wait("the import", lambda: imported(house))
    return house


def again(house: House, id: str, stage: str | None = None) -> RunDetail:
    with house.context() as ctx:
        made = retry.retry(ctx, id, stage)  # pyright: ignore[reportArgumentType]
    assert (made.name, made.number > house.run(id).number) == (house.run(id).name, True)
    assert made.retries is not None
    assert made.retries.id == id
    return house.wait_for_state(made.id, "succeeded", "failed")


def fail(house: House, id: str, stage: str) -> None:
    """As it fails when its engine can't be kept alive."""
    problem = Problem("engine_crashed", detail="cursed", tries=3).as_dict()
    with writing(house.engine) as connection:
        connection.execute(update(run).where(run.c.id == id).values(state="running"))
        stages.mark(connection, id, stage, "failed", problem)
        move_run(connection, id, "failed", reason=problem)


def test_training_goes_on_from_the_newest_checkpoint(working: House, model: Path) -> None:
    working.hold.at(40)
    id = working.submit(model, STEPS)
    working.wait_for_step(id, 12)
    working.ask(id, "pause")
    saved = working.wait_for_state(id, "paused").progress.saved
    working.hold.release()
    fail(working, id, "train")
    made = again(working, id)
    assert working.run(id).state == "failed"
    assert (made.state, made.progress.step, made.attempt) == ("succeeded", STEPS, 1)
    assert working.losses(made.id) == [1 / n for n in range(saved + 1, STEPS + 1)]
    anew = again(working, id, "prepare")
    assert working.losses(anew.id) == [1 / n for n in range(1, STEPS + 1)]


def test_judged_and_published_with_the_model_that_was_trained(working: House, model: Path) -> None:
    id = working.submit(model, 5, **JUDGED)
    first = working.wait_for_state(id, "succeeded", "failed")
    assert (first.state, first.model) == ("succeeded", "kept:1")
    with writing(working.engine) as connection:  # as if judging had failed, and nothing was published
        connection.execute(update(run).where(run.c.id == id).values(model_version_id=None))
        connection.execute(update(evaluation).values(state="failed"))
    fail(working, id, "evaluate")
    made = again(working, id)
    assert (made.state, made.model) == ("succeeded", "kept:2")
    assert [stage.state for stage in made.stages] == ["succeeded"] * 4
    assert made.evaluation not in (None, first.evaluation)
    with working.context() as ctx:
        assert runs.metrics(ctx, made.id) == []  # nothing was trained again
    assert not attempt_folder(working.settings.folder, made.id, 1).path.exists()
    only = again(working, id, "publish")
    assert (only.model, [stage.state for stage in only.stages][2]) == ("kept:3", "skipped")


def test_what_cant_be_retried(working: House, model: Path) -> None:
    def refused(id: str, stage: str | None = None) -> str:
        with pytest.raises(Problem) as problem, working.context() as ctx:
            retry.retry(ctx, id, stage)  # pyright: ignore[reportArgumentType]
        return f"{problem.value.code}: {problem.value.message}"

    id = working.submit(model, 100_000)
    working.wait_for_step(id, 3)
    assert refused(id).startswith("not_in_state")
    working.ask(id, "cancel")
    working.wait_for_state(id, "cancelled")
    assert refused(id).endswith("no stage of it failed; name the one to begin with.")
    assert refused(id, "evaluate").endswith("its spec has no stage evaluate.")
    published = working.submit(model, 5, **PUBLISHED)
    working.wait_for_state(published, "succeeded")
    assert refused(published, "publish").endswith("its model is published.")
    with working.context() as ctx:
        dataset_deletion.delete_version(ctx, "rows", 1, even_if_used=True)
    assert refused(id, "train").endswith("rows that it was trained on were deleted.")
    with working.context() as ctx:
        assert len(runs.list_runs(ctx).data) == 2
