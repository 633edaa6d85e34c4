"""kill -9 of the engine, the worker and the server, each in the middle of a run: the curve stays the same."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.e2e.whole import Whole, spec
from tests.patience import wait
from tunery.sdk.client import Client

pytestmark = [pytest.mark.slow, pytest.mark.e2e]


def curve(client: Client, run: str) -> list[tuple[int, float]]:
    (series,) = client.runs.metrics(run, names=["train_loss"], points=100_000)
    return list(zip(series.steps, series.values, strict=True))


@pytest.mark.usefixtures("held")
def test_every_kill_leaves_the_curve_as_it_was(
    whole: Whole, model: Path, real_rows: Callable[[str], Path]
) -> None:
    client = whole.start()
    client.datasets.create(real_rows("alpaca_en_demo.json"), name="alpaca")
    client.datasets.wait("alpaca")
    settings = {"max_steps": 50, "max_train_samples": 240}
    undisturbed = client.runs.create(spec(model, "alpaca", name="calm", settings=settings))
    assert client.runs.wait(undisturbed.id).state == "succeeded"

    whole.hold.at(15)
    run = client.runs.create(spec(model, "alpaca", name="stormy", settings=settings)).id

    def reach(step: int) -> None:
        wait(f"step {step}", lambda: client.runs.get(run).progress.step >= step)

    # None of the three comes too late: the engine waits some steps further on.
    reach(8)
    whole.kill_engine(run, client.runs.get(run).attempt)
    whole.hold.at(30)
    reach(20)
    whole.kill_worker()
    whole.hold.at(45)
    reach(32)
    whole.kill_server()
    whole.hold.release()
    client = whole.start()
    ended = client.runs.wait(run)

    assert ended.state == "succeeded"
    assert ended.attempt >= 2  # more, where the engine still trained when the server was killed
    assert len(curve(client, undisturbed.id)) == 50
    assert curve(client, run) == curve(client, undisturbed.id)
