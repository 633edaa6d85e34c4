"""The page that cleans a dataset: steps put together without a mouse, done, and told row by row."""

from playwright.sync_api import expect

from tests.patience import PATIENCE
from tests.recipes.rows import question, write
from tests.served import Served
from tests.web.conftest import PHONE, Open
from tunery.sdk.client import Client


def test_steps_are_put_together_without_a_mouse(window: Open, client: Client, served: Served) -> None:
    rows = [question(f"Who is number {n // 2}?", "Write to <b>ann@mail.example</b>.") for n in range(6)]
    client.datasets.create(write(served.folder / "people.jsonl", rows), name="people")
    client.datasets.wait("people", timeout=PATIENCE)
    page = window().open("/datasets/people")
    page.get_by_role("link", name="Clean", exact=True).click()
    page.wait_for_url("**/clean?version=*")
    expect(page.locator("#code")).to_contain_text("steps: []")
    expect(page.locator("#start")).to_be_disabled()
    page.get_by_role("button", name="Length").press("Enter")
    expect(page.get_by_label("Min characters")).to_be_focused()
    page.get_by_role("button", name="Personal data").press("Enter")
    page.get_by_role("button", name="Exact duplicates").press("Enter")
    page.locator("[data-step=exact_duplicates]").get_by_role("button", name="Move up").press("Enter")
    page.locator("[data-step=exact_duplicates]").get_by_role("button", name="Move up").press("Enter")
    expect(page.locator("#code")).to_contain_text(
        "- step: exact_duplicates\n  - step: length\n  - step: personal_data"
    )
    page.locator("[data-step=length]").get_by_role("button", name="Remove").press("Enter")
    expect(page.locator("[data-step]")).to_have_count(2)
    expect(page.locator("#start")).to_be_enabled()


def test_a_wrong_step_is_named_where_it_stands(window: Open, client: Client, served: Served) -> None:
    rows = [question(f"Who is number {n // 2}?", "Write to <b>ann@mail.example</b>.") for n in range(6)]
    client.datasets.create(write(served.folder / "folk.jsonl", rows), name="folk")
    client.datasets.wait("folk", timeout=PATIENCE)
    page = window(size=PHONE, expected=("422",)).open("/datasets/folk/clean")
    page.get_by_role("button", name="Exact duplicates").click()
    page.get_by_role("button", name="Length").click()
    page.click("#start")
    expect(page.locator("[data-step=length] .error")).to_contain_text("set at least one limit")
    page.get_by_label("Min answer").fill("3")
    expect(page.locator("[data-step=length] .error")).to_be_hidden()
    page.get_by_role("button", name="Personal data").click()
    page.click("#start")
    expect(page.get_by_role("heading", name="Cleaned from folk@1")).to_be_visible()
    expect(page.locator("main")).to_contain_text("same row as an earlier row")
    expect(page.locator("main")).to_contain_text("Write to <b>[EMAIL]</b>.")
    expect(page.locator("dl.stats")).to_contain_text("Draft")
    page.get_by_role("link", name="Clean further").click()
    expect(page.locator("[data-step]")).to_have_count(3)
    expect(page.get_by_label("Min answer")).to_have_value("3")
