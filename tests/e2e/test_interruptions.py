"""A real run that is paused, restarted, killed while it is judged: it ends as if nothing had been."""

import json
from pathlib import Path

import pytest

from tests.e2e.whole import Whole, spec
from tests.jobs.house import alpaca
from tests.patience import PATIENCE, wait
from tunery.core.attempt import attempt_folder
from tunery.sdk.client import Client

pytestmark = [pytest.mark.slow, pytest.mark.e2e, pytest.mark.usefixtures("held")]


ROWS = 60
"""More than the steps of the training, so that an engine that is held at some row has trained to the end."""


def judging(whole: Whole, client: Client, run: str) -> bool:
    """Whether an engine is amid the judging; it is held there."""
    folder = attempt_folder(whole.data, run, client.runs.get(run).attempt, "evaluate")
    return any(event.get("done", 0) >= ROWS // 2 for event in folder.read_events()[0])


def kill_judge(whole: Whole, client: Client, run: str) -> None:
    wait("the evaluation", lambda: judging(whole, client, run))
    whole.kill_engine(run, client.runs.get(run).attempt, "evaluate")


def begun(whole: Whole, model: Path, tmp_path: Path) -> tuple[Client, str]:
    """A run that is judged, too; half of the rows at most, until the hold is released."""
    whole.hold.at(ROWS // 2)
    client = whole.start()
    client.datasets.create(alpaca(tmp_path / "rows.jsonl", 160), name="rows")
    client.datasets.wait("rows")
    run = client.runs.create(
        spec(
            model,
            "rows",
            name="interrupted",
            settings={"max_steps": 25},
            evaluate={"dataset": "rows", "max_rows": ROWS, "max_new_tokens": 200},
            publish={"auto": True, "name": "tuned"},
        )
    )
    return client, run.id


def test_paused_restarted_resumed_and_killed_while_judged(whole: Whole, model: Path, tmp_path: Path) -> None:
    client, run = begun(whole, model, tmp_path)
    whole.hold.at(15)
    wait("step 5", lambda: client.runs.get(run).progress.step >= 5)
    client.runs.pause(run)
    wait("the pause", lambda: client.runs.get(run).state == "paused")
    step = client.runs.get(run).progress.step
    whole.hold.at(ROWS // 2)
    whole.kill_server()
    client = whole.start()
    found = client.runs.get(run)
    assert (found.state, found.progress.step) == ("paused", step)
    client.runs.resume(run)
    kill_judge(whole, client, run)
    whole.hold.release()
    ended = client.runs.wait(run, timeout=PATIENCE)
    assert (ended.state, ended.model) == ("succeeded", "tuned:1")
    assert ended.evaluation is not None
    evaluation = client.evaluations.get(ended.evaluation)
    assert (evaluation.state, evaluation.rows) == ("succeeded", ROWS)
    (series,) = client.runs.metrics(run, names=["train_loss"])
    assert series.steps == list(range(1, 26))
    events = client.runs.events(run)
    assert [event.id for event in events] == list(range(1, len(events) + 1))
    assert len(json.dumps([event.body for event in events])) > 1000


@pytest.mark.parametrize(
    ("verb", "state"), [("stop", "stopped"), ("cancel", "cancelled"), ("pause", "paused")]
)
def test_asked_while_it_is_judged(whole: Whole, model: Path, tmp_path: Path, verb: str, state: str) -> None:
    client, run = begun(whole, model, tmp_path)
    wait("the evaluation", lambda: judging(whole, client, run))
    getattr(client.runs, verb)(run)
    wait(state, lambda: client.runs.get(run).state != "running")
    whole.hold.release()
    found = client.runs.get(run)
    assert found.state == state
    assert found.evaluation is not None
    assert client.evaluations.get(found.evaluation).state == state
    assert found.model is None
    if verb == "stop":  # what was trained is kept
        client.models.publish(run)
        assert client.runs.get(run).model == "tuned:1"
    if verb == "pause":
        client.runs.resume(run)
        ended = client.runs.wait(run, timeout=PATIENCE)
        assert (ended.state, ended.model) == ("succeeded", "tuned:1")
