"""A reward model is published like any other, and nobody is sent to chat with it."""

import json
from pathlib import Path

import pytest

from tests.jobs.house import House, bare_model
from tunery.core.errors import Problem
from tunery.services import datasets, models, serving


def preferences(path: Path, rows: int) -> Path:
    lines = (json.dumps({"prompt": f"Say {n}", "chosen": f"{n}!", "rejected": "No."}) for n in range(rows))
    path.write_text("\n".join(lines) + "\n")
    return path


def imported(house: House, name: str) -> bool:
    with house.context() as ctx:
        return datasets.get_version(ctx, name).state == "published"


def test_it_is_published_but_not_served(house: House, tmp_path: Path) -> None:
    house.start_worker()
    house.import_rows("pairs", preferences(tmp_path / "pairs.jsonl", 120), publish=True)
    house.wait("the import", lambda: imported(house, "pairs"))
    made: dict[str, str] = {}
    for method in ("dpo", "reward"):
        run = house.submit(
            bare_model(tmp_path, f"base-{method}"),
            3,
            name=method,
            method=method,
            data="pairs",
            publish={"auto": True},
        )
        house.wait("the publishing", lambda run=run: house.run(run).model is not None)
        made[method] = house.run(run).model or ""
    assert made == {"dpo": "dpo:1", "reward": "reward:1"}
    with house.context() as ctx:
        writes = {name: models.list_versions(ctx, name)[0].writes_text for name in made}
        assert writes == {"dpo": True, "reward": False}
        served = {target.name for target in serving.list_targets(ctx)}
        assert {"dpo", "dpo:1"} <= served
        assert not {"reward", "reward:1"} & served
        assert serving.find_target(ctx, "dpo").version == "dpo:1"
        for name in ("reward", "reward:1"):
            with pytest.raises(Problem) as caught:
                serving.find_target(ctx, name)
            assert caught.value.code == "model_gives_scores"
            assert "reward" in caught.value.message
