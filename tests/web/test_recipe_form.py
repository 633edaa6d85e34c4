"""The recipe in the form of a new run: several datasets, rates and shares, the general corpus, live totals."""

import json

import yaml
from playwright.sync_api import expect

from tests.served import Served
from tests.web.conftest import PHONE, Open, add_rows
from tunery.sdk.client import Client


def test_a_recipe_is_built_shown_and_sent(window: Open, client: Client, served: Served, colours: str) -> None:
    add_rows(client, served.folder, "sums", 120)
    page = window().open(f"/runs/new?dataset={colours}")
    totals = page.locator("#recipe-totals")
    expect(totals).to_contain_text("200 training rows")
    expect(totals).to_contain_text("Rows needed: 100. colours@1: 200 × 1 = 200")
    expect(page.locator("[data-remove]")).to_be_hidden()
    page.get_by_role("button", name="Add a dataset").press("Enter")
    second = page.locator("[data-dataset]").nth(1)
    expect(second.locator("select")).to_be_focused()
    second.locator("select").select_option("sums")
    second.get_by_label("Sampling rate").fill("2.5")
    expect(totals).to_contain_text("500 training rows")
    page.locator("[data-dataset]").nth(0).get_by_label("Share in percent").fill("50")
    first_rate = page.locator("[data-dataset]").nth(0).get_by_label("Sampling rate")
    expect(first_rate).not_to_have_value("")
    expect(second.get_by_label("Share in percent")).to_have_value("50")
    page.get_by_label("Mix in a general corpus to reduce forgetting").check()
    expect(totals).to_contain_text("The general corpus tunery-general@1 adds")
    expect(page.locator("#check-badge")).to_have_text("Ready")
    data = yaml.safe_load(page.inner_text("#code"))["data"]
    rate = float(first_rate.input_value())
    assert data == {
        "train": [{"dataset": colours, "sampling_rate": rate}, {"dataset": "sums", "sampling_rate": 2.5}],
        "mix": True,
    }
    with page.expect_request("**/api/v1/runs") as sent:
        page.click("#start")
    page.wait_for_url("**/runs/run_*")
    assert json.loads(sent.value.post_data or "")["data"] == data
    again = window(size=PHONE).open(f"/runs/new?clone={page.url.rpartition('/')[2]}")
    expect(again.locator("#check-badge")).to_have_text("Ready")
    expect(again.locator("[data-dataset]")).to_have_count(2)
    cloned = yaml.safe_load(again.inner_text("#code"))["data"]
    assert [ref.get("sampling_rate") for ref in cloned["train"]] == [rate, 2.5]
    again.locator("[data-remove]").nth(0).click()
    expect(again.locator("#train")).to_have_value("sums")
    expect(again.locator("#recipe-totals")).to_contain_text("sums@1: 120 × 2.5 + tunery-general@1")


def test_a_rate_out_of_range_is_refused_at_the_recipe(window: Open, colours: str) -> None:
    page = window(expected=("422",)).open(f"/runs/new?dataset={colours}")
    expect(page.locator("#recipe-totals")).to_contain_text("200 training rows")
    page.get_by_label("Sampling rate").fill("11")
    expect(page.locator("#check-badge")).to_have_text("Not ready")
    expect(page.locator("#recipe-totals")).to_be_hidden()
    page.get_by_label("Sampling rate").fill("0.4")
    expect(page.locator("[data-field=data] .error")).to_contain_text("colours@1: 200 × 0.4 = 80")
