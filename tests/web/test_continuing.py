"""From a run to one that goes on from it: the button, the form with its base fixed, and the line of runs."""

import json
import os
from pathlib import Path

import yaml
from playwright.sync_api import expect

from tests.patience import PATIENCE
from tests.served import Served
from tests.web.conftest import Open, add_rows, start_run
from tunery.sdk.client import Client


def test_going_on_from_a_run(window: Open, client: Client, served: Served, colours: str) -> None:
    add_rows(client, served.folder, "more-sums", 150)
    earlier = start_run(client, colours, "palette", 7)
    client.runs.wait(earlier, timeout=PATIENCE, poll=0.1)
    page = window().open(f"/runs/{earlier}")
    page.click("#do-continue")
    page.wait_for_url("**/runs/new**")
    expect(page.locator("h1")).to_have_text("Continue training from palette #1")
    expect(page.locator("#base_model")).to_be_disabled()
    states = page.locator("#continue-step option")
    expect(states).to_have_text(["palette #1 · step 7", "palette #1 · step 5"])
    page.locator("#train").select_option("more-sums")
    totals = page.locator("#recipe-totals")
    expect(totals).to_contain_text("Learnt before and mixed in again: colours@1, 20 rows")
    expect(page.locator("#check")).to_contain_text("Goes on from palette #1 @ step 7.")
    page.locator("#replay").fill("25")
    page.locator("#continue-step").select_option("5")
    expect(totals).to_contain_text("50 rows")
    expect(page.locator("#check-badge")).to_have_text("Ready")
    sent = yaml.safe_load(page.inner_text("#code"))
    assert sent["continue_from"] == {"run": "palette #1", "step": 5, "replay": 0.25}
    assert "base_model" not in sent
    if folder := os.environ.get("TUNERY_TEST_PICTURES"):
        page.screenshot(path=Path(folder) / "continue-form.png", full_page=True)
    with page.expect_request("**/api/v1/runs") as request:
        page.click("#start")
    page.wait_for_url("**/runs/run_*")
    assert json.loads(request.value.post_data or "")["continue_from"] == sent["continue_from"]
    expect(page.locator(".lineage").first).to_contain_text("palette #1, step 5")
    made = client.runs.wait(page.url.rpartition("/")[2], timeout=PATIENCE, poll=0.1)
    assert [one.name for one in made.ancestors] == ["palette #1"]
    page.goto(f"{served.url}/runs/{earlier}")
    expect(page.locator("#continued-by")).to_contain_text(f"{made.name} #1")
    page.goto(f"{served.url}/runs/new?clone={made.id}")
    expect(page.locator("#continue-step")).to_have_value("5")
    expect(page.locator("#replay")).to_have_value("25")
    expect(page.locator("#check-badge")).to_have_text("Ready")


def test_a_share_that_is_none_is_refused_at_its_field(
    window: Open, client: Client, served: Served, colours: str
) -> None:
    earlier = start_run(client, colours, "shades", 5)
    client.runs.wait(earlier, timeout=PATIENCE, poll=0.1)
    page = window(expected=("422",)).open(f"/runs/new?continue={earlier}")
    page.locator("#train").select_option(colours)
    expect(page.locator("#check")).to_contain_text("this run learns from the same data")
    page.locator("#replay").fill("30")
    error = page.locator("[data-field='continue_from.replay'] .error")
    expect(error).to_contain_text("this run learns from the same data")
    page.locator("#replay").fill("much")
    expect(page.locator("#check-badge")).to_have_text("Not ready")
    page.locator("#replay").fill("0")
    expect(page.locator("#check-badge")).to_have_text("Ready")
