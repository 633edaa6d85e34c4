"""Where people meet a diagnosis: REST, client, command line; the same findings, while a run goes on and after."""

import json
from collections.abc import Iterator

import httpx
import pytest

from tests.jobs.house import alpaca, bare_model
from tests.patience import PATIENCE
from tests.served import Served, server
from tunery.core.errors import Problem
from tunery.schemas.diagnosis import Diagnosis
from tunery.sdk.client import Client

STEPS = 40
"""Of the fake engine, whose loss at step n is 1 / n."""


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("diagnosed")
    alpaca(folder / "rows.jsonl", 120)
    bare_model(folder)
    with server(folder) as running:
        yield running


@pytest.fixture(scope="module")
def run(served: Served) -> Iterator[str]:
    with Client(served.url, served.token) as client:
        client.datasets.create(str(served.folder / "rows.jsonl"), name="rows", publish=True)
        client.datasets.wait("rows", timeout=PATIENCE)
        spec = {
            "name": "hyperbola",
            "base_model": f"{served.folder}/bare",
            "data": "rows",
            "settings": {"max_steps": STEPS},
        }
        served.hold.at(0)  # it has no measurement yet
        made = client.runs.create(spec)
        assert client.runs.diagnose(made.id) == Diagnosis(run=made.id, step=0, points=0, complete=False)
        served.hold.release()
        yield client.runs.wait(made.id, timeout=PATIENCE).id


def test_rest_and_client_give_the_same(served: Served, run: str) -> None:
    answer = httpx.get(
        f"{served.url}/api/v1/runs/{run}/diagnosis", headers={"Authorization": f"Bearer {served.token}"}
    )
    assert answer.status_code == 200
    with Client(served.url, served.token) as client:
        found = client.runs.diagnose("hyperbola #1")
        assert answer.json() == found.model_dump(mode="json")
        with pytest.raises(Problem) as caught:
            client.runs.diagnose("no-such-run")
    assert caught.value.code == "not_found"
    assert (found.run, found.step, found.points, found.complete) == (run, STEPS, STEPS, True)
    (low,) = found.findings
    assert (low.code, low.severity, low.first_step, low.last_step) == ("low_loss", "hint", 4, STEPS)


def test_the_command_line_says_it_in_words(served: Served, run: str) -> None:
    told = served.tunery("runs", "diagnose", run)
    assert told.returncode == 0, told.stderr
    assert told.stdout.startswith("Very low loss (hint): The training loss fell to ")
    assert "\n  - " in told.stdout
    assert "Very low loss (hint)" in served.tunery("runs", "show", run).stdout
    document = json.loads(served.tunery("runs", "diagnose", run, "--json").stdout)
    assert [one["code"] for one in document["findings"]] == ["low_loss"]
