"""Time and memory of a run that isn't made yet, asked for in its form, and held against the run afterwards."""

import re

from playwright.sync_api import expect

from tests.web.conftest import Open
from tunery.sdk.client import Client


def test_a_button_measures_and_the_run_remembers(window: Open, client: Client, colours: str) -> None:
    page = window().open(f"/runs/new?dataset={colours}")
    button = page.locator("#do-estimate")
    page.evaluate("for (const fold of document.querySelectorAll('#groups details')) fold.open = true")
    page.fill("#set-max_steps", "15")
    expect(button).to_be_enabled()
    button.click()
    told = page.locator("#estimate")
    expect(told).to_contain_text("750 in 15 steps; the longest batch has 50")
    expect(told).to_contain_text("about 100 MB (up to 120); this machine has 1,000 MB")
    page.fill("#name", "foretold")
    expect(told).to_be_empty()
    expect(page.locator("#start")).to_be_enabled()
    page.locator("#start").click()
    page.wait_for_url(re.compile(r"/runs/run_"))
    expect(page.locator("#predicted")).to_contain_text("100 MB were predicted")
