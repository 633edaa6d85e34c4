"""The losses of a recipe's datasets and the answers during training: on the run's page, and wherever else one looks."""

import json

import httpx
from playwright.sync_api import expect

from tests.served import Served
from tests.web.conftest import Open, add_rows, start_run
from tunery.sdk.client import Client


def test_every_dataset_has_its_line_and_answers_come_while_it_trains(
    window: Open, client: Client, served: Served, colours: str
) -> None:
    more = add_rows(client, served.folder, "more", 40)
    data = {"train": [{"dataset": colours}, {"dataset": more}]}
    run = start_run(client, data, "mixed", 60, validation_split_ratio=0.1, eval_steps=20)
    page = window().open(f"/runs/{run}")
    expect(page.locator("#run-head .badge").first).to_have_text("Succeeded")
    legend = page.locator("#by-dataset-legend span")
    expect(legend).to_have_count(2)
    expect(legend.nth(1)).to_contain_text("more@1 0.033 · 0.067")
    answered = page.locator("#samples")
    expect(answered).to_contain_text("It is 60.")
    expect(answered.locator(".compare .hit")).to_have_count(1)
    expect(answered.locator("summary")).to_have_text("Earlier answers: 1")

    (row,) = client.runs.samples(run)
    assert [(one.step, one.answer) for one in row.answers] == [(n, f"It is {n}.") for n in (20, 40, 60)]
    answer = httpx.get(
        f"{served.url}/api/v1/runs/{run}/samples", headers={"Authorization": f"Bearer {served.token}"}
    )
    assert answer.json() == [row.model_dump(mode="json")]
    told = served.tunery("runs", "show", run).stdout
    assert "answer: It is 60." in told
    assert "0.0333" in told
    parts = client.runs.recipe(run).parts
    assert sum(part.train or 0 for part in parts) == client.runs.recipe(run).rows.train
    assert json.loads(served.tunery("runs", "show", run, "--json").stdout)["id"] == run
