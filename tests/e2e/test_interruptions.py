"""A real run that is paused, restarted, killed while it is judged: it ends as if nothing had been."""

import json
import os
from pathlib import Path

import pytest

from tests.e2e.whole import Whole, spec, wait
from tests.jobs.house import alpaca
from tunery.core.attempt import attempt_folder
from tunery.core.process import ProcessIdentity
from tunery.sdk.client import Client

pytestmark = [pytest.mark.slow, pytest.mark.e2e]


def judging(whole: Whole, client: Client, run: str) -> ProcessIdentity | None:
    """The engine that judges now."""
    folder = attempt_folder(whole.data, run, client.runs.get(run).attempt, "evaluate")
    engine = ProcessIdentity.load(folder.process)
    started = any(event["type"] == "started" for event in folder.read_events()[0])
    return engine if engine is not None and started and engine.alive() else None


def kill_judge(whole: Whole, client: Client, run: str) -> None:
    wait("the evaluation", lambda: judging(whole, client, run) is not None)
    engine = judging(whole, client, run)
    assert engine is not None
    os.kill(engine.pid, 9)


def begun(whole: Whole, model: Path, tmp_path: Path) -> tuple[Client, str]:
    """A run that trains for some seconds and is judged for some more."""
    client = whole.start()
    client.datasets.create(alpaca(tmp_path / "rows.jsonl", 160), name="rows")
    client.datasets.wait("rows")
    run = client.runs.create(
        spec(
            model,
            "rows",
            name="interrupted",
            settings={"max_steps": 25},
            evaluate={"dataset": "rows", "max_rows": 60, "max_new_tokens": 200},
            publish={"auto": True, "name": "tuned"},
        )
    )
    return client, run.id


def test_paused_restarted_resumed_and_killed_while_judged(whole: Whole, model: Path, tmp_path: Path) -> None:
    client, run = begun(whole, model, tmp_path)
    wait("step 5", lambda: client.runs.get(run).progress.step >= 5)
    client.runs.pause(run)
    wait("the pause", lambda: client.runs.get(run).state == "paused")
    step = client.runs.get(run).progress.step
    whole.kill_server()
    client = whole.start()
    found = client.runs.get(run)
    assert (found.state, found.progress.step) == ("paused", step)
    client.runs.resume(run)
    kill_judge(whole, client, run)
    ended = client.runs.wait(run, timeout=120)
    assert (ended.state, ended.model) == ("succeeded", "tuned:1")
    assert ended.evaluation is not None
    evaluation = client.evaluations.get(ended.evaluation)
    assert (evaluation.state, evaluation.rows) == ("succeeded", 60)
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
    wait("the evaluation", lambda: judging(whole, client, run) is not None)
    getattr(client.runs, verb)(run)
    wait(state, lambda: client.runs.get(run).state != "running")
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
        ended = client.runs.wait(run, timeout=120)
        assert (ended.state, ended.model) == ("succeeded", "tuned:1")
