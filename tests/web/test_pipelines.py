"""Pipelines in the console: kept from a run, changed, scheduled, started, deleted."""

from pathlib import Path

from playwright.sync_api import expect

from tests.web.conftest import PHONE, Open, start_run
from tunery.sdk.client import Client

_WIDER = "document.documentElement.scrollWidth - document.documentElement.clientWidth"


def test_from_a_run_to_every_night(window: Open, client: Client, colours: str, tmp_path: Path) -> None:
    run = start_run(client, colours, "nightly-run", 12)
    client.runs.wait(run)
    seen = window(expected=("422",))
    page = seen.open("/pipelines")
    page.screenshot(path=tmp_path / "empty.png", full_page=True)
    page = seen.open(f"/runs/{run}")
    page.get_by_role("link", name="Save as pipeline").click()
    page.wait_for_url("**/pipelines/new**")
    page.get_by_label("Name").fill("nightly")
    expect(page.locator("#next-starts")).to_contain_text("Started by hand only")
    page.get_by_label("Cron").fill("30 25 * * *")
    expect(page.locator("#next-starts .error")).to_contain_text("can't be scheduled")
    page.get_by_role("button", name="Check and save").click()
    expect(page.locator(".toast", has_text="can't be scheduled")).to_be_visible()
    page.get_by_label("Cron").fill("30 2 * * *")
    page.get_by_label("Time zone").fill("Europe/Berlin")
    expect(page.locator("#next-starts time")).to_have_count(5)
    expect(page.locator("#next-starts time").first).to_contain_text("02:30")
    page.screenshot(path=tmp_path / "form.png", full_page=True)
    page.get_by_role("button", name="Check and save").click()
    page.wait_for_url("**/pipelines/nightly")
    expect(page.locator("section[aria-labelledby=schedule-h] time")).to_have_count(5)

    page.get_by_role("button", name="Start now").click()
    page.wait_for_url("**/runs/run_*")
    page = seen.open("/pipelines/nightly")
    expect(page.get_by_role("row").filter(has_text="nightly-run #2")).to_contain_text("Started")
    page.screenshot(path=tmp_path / "pipeline.png", full_page=True)

    page.get_by_role("button", name="Turn off").click()
    expect(page.get_by_role("button", name="Turn on")).to_be_visible()
    page.get_by_role("link", name="Edit").click()
    page.wait_for_url("**/pipelines/new**")
    written = page.get_by_label("As YAML").input_value()
    page.get_by_label("As YAML").fill(written.replace("max_steps: 12", "max_steps: 7"))
    page.get_by_role("button", name="Check and save").click()
    expect(page.get_by_role("heading", name="nightly@2")).to_be_visible()
    assert client.pipelines.get("nightly").spec.settings["max_steps"] == 7
    assert client.pipelines.get("nightly").spec.trigger.cron == "30 2 * * *"

    page = seen.open("/pipelines")
    page.screenshot(path=tmp_path / "list.png", full_page=True)
    page = window(size=PHONE, dark=True).open("/pipelines/nightly")
    assert page.evaluate(_WIDER) <= 0
    page.screenshot(path=tmp_path / "phone.png", full_page=True)
    page = seen.open("/pipelines/nightly")
    page.get_by_role("button", name="Delete").first.click()
    page.locator("dialog[open]").get_by_role("button", name="Delete").click()
    page.wait_for_url("**/pipelines")
    assert client.pipelines.list().data == []
    assert client.runs.get("nightly-run #2").number == 2


def test_a_definition_that_is_wrong_is_told_and_kept_in_the_form(window: Open, client: Client) -> None:
    seen = window(expected=("422", "404"))
    page = seen.open("/pipelines/new")
    page.get_by_label("As YAML").fill("base_model: x\n  method: [")
    page.get_by_role("button", name="Check and save").click()
    expect(page.locator(".toast", has_text="isn't YAML at line 2")).to_be_visible()
    assert page.get_by_label("As YAML").input_value().startswith("base_model: x")
    assert client.pipelines.list().data == []


def test_a_template_is_put_together_in_the_form_and_used(window: Open, client: Client, colours: str) -> None:
    seen = window()
    page = seen.open(f"/runs/new?dataset={colours}")
    expect(page.locator("#check-badge")).to_have_text("Ready")
    page.locator("#set-learning_rate").fill("0.0004")
    page.get_by_role("button", name="Save as pipeline instead").click()
    page.wait_for_url("**/pipelines/new")
    page.get_by_label("Name").fill("style")
    page.get_by_label("Save as a template").check()
    page.get_by_role("button", name="Check and save").click()
    page.wait_for_url("**/pipelines/style")
    kept = client.pipelines.get("style").spec
    assert (kept.settings, kept.data.train[0].label) == ({"learning_rate": 0.0004}, f"{colours}@None")
    page.get_by_role("link", name="New run from it").click()
    expect(page.locator("#check-badge")).to_have_text("Ready")
    expect(page.locator("#code")).to_contain_text('template: "style@1"')
    expect(page.locator("[data-setting=learning_rate] .tag")).to_have_text("template")
    expect(page.locator("#check")).to_contain_text("1 from the template")
    page.click("#start")
    page.wait_for_url("**/runs/run_*")
    assert client.runs.get(page.url.rpartition("/")[2]).resolved.origins["learning_rate"] == "template"
