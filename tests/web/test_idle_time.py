"""An idle-time run by the form: it is sent so, shown so, and a clone of it is one again."""

import json
import os

import yaml
from playwright.sync_api import expect

from tests.web.conftest import Open
from tunery.sdk.client import Client


def test_by_the_form_in_the_list_and_on_the_page(window: Open, client: Client, colours: str) -> None:
    page = window().open(f"/runs/new?dataset={colours}")
    expect(page.locator("#check-badge")).to_have_text("Ready")
    page.fill("#name", "at-night")
    page.check("#idle_time")
    page.fill("#priority", "2")
    expect(page.locator("#check-badge")).to_have_text("Ready")
    if folder := os.environ.get("TUNERY_TEST_PICTURES"):
        page.screenshot(path=f"{folder}/idle-form.png", full_page=True)
    with page.expect_request("**/api/v1/runs") as sent:
        page.click("#start")
    page.wait_for_url("**/runs/run_*")
    body = json.loads(sent.value.post_data or "")
    assert body["resources"] == {"idle_time": True, "priority": 2}
    expect(page.locator("#run-head .tag").first).to_have_text("idle time")
    run = client.runs.get(page.url.rpartition("/")[2])
    assert (run.idle_time, run.priority) == (True, 2)
    if folder:
        page.screenshot(path=f"{folder}/idle-run.png", full_page=True)
    page.goto(page.url.partition("/runs")[0] + "/runs")
    expect(page.locator("tr", has_text="at-night").locator(".tag")).to_have_text(["idle time", "priority 2"])
    if folder:
        page.screenshot(path=f"{folder}/idle-list.png", full_page=True)
    page = window().open(f"/runs/new?clone={run.id}")
    expect(page.locator("#check-badge")).to_have_text("Ready")
    assert yaml.safe_load(page.inner_text("#code"))["resources"] == {"idle_time": True, "priority": 2}
    assert page.is_checked("#idle_time")
