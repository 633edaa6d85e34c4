"""Versions that something depends on: refused, or deleted in so many words with their hash left behind."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import update

from tests.insight.stored import add_run
from tests.jobs.house import House, alpaca
from tunery.core.clock import now_us
from tunery.core.errors import Problem
from tunery.core.settings import ServerSettings
from tunery.db.engine import writing
from tunery.db.tables import model, model_version, run
from tunery.services import dataset_deletion, datasets, statistics


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    """A house whose dataset `rows` has one version, that a run trains on."""
    made = House(tmp_path, ServerSettings(data=tmp_path / "data"))
    made.import_rows("rows", alpaca(tmp_path / "rows.jsonl", 12))
    made.start_worker()
    with made.context() as ctx:
        id = datasets.get_dataset(ctx, "rows").id
    made.wait("the import", lambda: state_of(made, id) == "published")
    with made.context() as ctx:
        manifest = datasets.version_row(ctx, "rows", 1).manifest
    with writing(made.engine) as connection:
        add_run(connection, made, "paused", {"train": [manifest]})
    yield made
    made.close()


def state_of(house: House, dataset: str) -> str:
    with house.context() as ctx:
        return datasets.get_version(ctx, dataset, 1).state


def code(house: House, **how: bool) -> str:
    with pytest.raises(Problem) as refused, house.context() as ctx:
        dataset_deletion.delete_version(ctx, "rows", 1, **how)
    return refused.value.code


def test_refused_while_needed_and_a_tombstone_afterwards(house: House) -> None:
    assert code(house) == code(house, even_if_used=True) == "version_in_run"
    ids = {"project_id": house.project, "created": now_us()}
    with writing(house.engine) as connection:
        connection.execute(update(run).values(state="succeeded"))
        connection.execute(model.insert().values(id="model_1", name="talker", latest=1, **ids))
        connection.execute(
            model_version.insert().values(
                id="mv_1",
                model_id="model_1",
                version=1,
                kind="full",
                base_model="b",
                base_path="b",
                folder="f",
                run_id="run_1",
                step=1,
                lineage={"datasets": ["rows@1"], "hashes": {}},
                content_hash="0" * 64,
                bytes=1,
                **ids,
            )
        )
    assert code(house) == "version_in_use"
    with house.context() as ctx:
        before = datasets.get_version(ctx, "rows", 1)
        left = dataset_deletion.delete_version(ctx, "rows", 1, even_if_used=True)
    assert (left.state, left.content_hash) == ("deleted", before.content_hash)
    assert left.content_hash is not None
    with house.context() as ctx:
        assert dataset_deletion.delete_version(ctx, "rows", 1) == left, "harmless when it is deleted already"
        assert [one.state for one in datasets.list_versions(ctx, "rows")] == ["deleted"]
        for published in (False, True):
            with pytest.raises(Problem) as refused:
                datasets.version_row(ctx, "rows", None, published=published)
            assert refused.value.code == "not_found"
        with pytest.raises(Problem) as refused:
            datasets.version_row(ctx, "rows", 1, published=True)
        assert refused.value.code == "version_deleted"
        with pytest.raises(Problem) as refused:
            statistics.get(ctx, "rows", 1)
        assert refused.value.code == "version_deleted"
