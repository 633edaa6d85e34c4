"""An estimate is measured once for a plan, by a task on the queue; the run keeps what was predicted for it."""

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.jobs.house import alpaca, bare_model
from tests.patience import PATIENCE
from tests.served import Served, server
from tunery.core.errors import Problem
from tunery.schemas.estimate import Estimate
from tunery.sdk.client import Client


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("estimated")
    alpaca(folder / "rows.jsonl", 120)
    bare_model(folder)
    bare_model(folder, "huge")
    with server(folder) as running:
        yield running


@pytest.fixture(scope="module")
def client(served: Served) -> Iterator[Client]:
    with Client(served.url, served.token) as made:
        made.datasets.create(str(served.folder / "rows.jsonl"), name="rows", publish=True)
        made.datasets.wait("rows", timeout=PATIENCE)
        yield made


def spec(served: Served, steps: int, model: str = "bare", **settings: Any) -> dict[str, Any]:
    base = f"{served.folder}/{model}"
    return {
        "name": f"told-{model}",
        "base_model": base,
        "data": "rows",
        "settings": {"max_steps": steps, **settings},
    }


def test_it_is_measured_once_for_all_that_it_depends_on(served: Served, client: Client) -> None:
    first = client.runs.estimate(spec(served, 10), timeout=PATIENCE)
    assert (first.steps, first.tokens, first.fits) == (10, 500, True)
    asked = httpx.post(
        f"{served.url}/api/v1/runs/estimate",
        json={**spec(served, 10, seed=7), "name": "another"},
        headers={"Authorization": f"Bearer {served.token}"},
    )
    again = Estimate.model_validate(asked.json())
    assert (again.state, again.found) == ("done", first), "neither seed nor name changes what is needed"
    assert client.runs.estimate(spec(served, 20), timeout=PATIENCE).steps == 20


def test_the_command_line_asks_too(served: Served, client: Client) -> None:
    (served.folder / "run.yaml").write_text(json.dumps(spec(served, 30)))
    told = served.tunery("runs", "estimate", "run.yaml")
    assert told.returncode == 0, told.stderr
    assert "1,500 tokens in 30 steps of 30 batches" in told.stdout
    assert "of 1,000 MB" in told.stdout
    assert json.loads(served.tunery("runs", "estimate", "run.yaml", "--json").stdout)["steps"] == 30


def test_a_run_keeps_what_was_predicted_and_shows_it_beside_what_came(served: Served, client: Client) -> None:
    predicted = client.runs.estimate(spec(served, 12), timeout=PATIENCE)
    run = client.runs.create(spec(served, 12))
    assert run.estimate == predicted
    ended = client.runs.wait(run.id, timeout=PATIENCE)
    assert ended.estimate == predicted
    assert (
        "Predicted 0 s (0 to 0) and 100 MB for 12 steps; it took"
        in served.tunery("runs", "show", run.id).stdout
    )
    assert client.runs.create(spec(served, 13)).estimate is None, "nobody asked for this one"


def test_what_cannot_be_measured_says_why_and_can_be_asked_again(served: Served, client: Client) -> None:
    for _ in range(2):
        with pytest.raises(Problem) as caught:
            client.runs.estimate(spec(served, 11, "huge"), timeout=PATIENCE)
        assert caught.value.code == "out_of_memory"


def test_what_would_be_refused_is_refused(served: Served, client: Client) -> None:
    with pytest.raises(Problem) as caught:
        client.runs.estimate({**spec(served, 10), "data": "nothing-of-that-name"})
    assert caught.value.code == "not_found"


def test_a_run_that_goes_on_from_another_is_tried_from_there(served: Served, client: Client) -> None:
    earlier = client.runs.create({**spec(served, 5, finetuning_type="full"), "name": "earlier"})
    client.runs.wait(earlier.id, timeout=PATIENCE)
    anew = spec(served, 12, finetuning_type="full")
    on = {**anew, "continue_from": {"run": earlier.id}}
    assert client.runs.estimate(on, timeout=PATIENCE).steps == 12
    made = client.runs.create({**on, "name": "later"})
    assert made.estimate is not None
    assert client.runs.create({**anew, "name": "anew"}).estimate is None, "from the base it may need less"
    client.runs.wait(made.id, timeout=PATIENCE)
