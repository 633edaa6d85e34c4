"""One state of one run is one version of one name; a label never comes to mean something else."""

from pathlib import Path

import pytest

from tests.jobs.house import House, alpaca
from tunery.core.errors import Problem
from tunery.schemas.model import PublishRequest
from tunery.services import datasets, models


def publish(house: House, run: str, name: str | None = None, step: int | None = None) -> None:
    with house.context() as ctx:
        models.publish(ctx, PublishRequest(run=run, name=name, step=step))


def published(house: House) -> list[str]:
    with house.context() as ctx:
        return [model.name for model in models.list_models(ctx).data]


def newest(house: House) -> int:
    with house.context() as ctx:
        version = datasets.get_version(ctx, "rows")
        return version.version if version.state == "published" else 0


def test_the_same_state_under_another_name_is_refused(house: House, model: Path) -> None:
    house.start_worker()
    house.wait("the import", lambda: newest(house) == 1)
    run = house.submit(model, 12, name="orders")
    house.wait_for_state(run, "succeeded")
    publish(house, run, "tuned")
    house.wait("the publishing", lambda: house.run(run).model == "tuned:1")
    for name in ("other", None):  # without a name it is the run's
        with pytest.raises(Problem) as caught:
            publish(house, run, name)
        assert caught.value.code == "already_published"
        assert "as tuned:1" in caught.value.message
    publish(house, run, "tuned")
    publish(house, run, "other", step=5)
    house.wait("the checkpoint", lambda: "other" in published(house))
    with house.context() as ctx:
        assert models.published_steps(ctx, run) == {12: "tuned:1", 5: "other:1"}
        assert [version.step for version in models.list_versions(ctx, "tuned")] == [12]


def test_a_name_imported_anew_goes_on_counting(house: House) -> None:
    house.start_worker()
    house.wait("the import", lambda: newest(house) == 1)
    with house.context() as ctx:
        datasets.delete_dataset(ctx, "rows")
    house.import_rows("rows", alpaca(house.folder / "again.jsonl", 110))
    house.wait("the second import", lambda: newest(house) == 2)
