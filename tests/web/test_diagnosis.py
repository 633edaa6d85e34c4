"""The diagnosis on a run's page: it comes while the run goes on, is marked on the curve, and leads into it."""

import re

from playwright.sync_api import expect

from tests.hold import Hold
from tests.web.conftest import Open, start_run
from tunery.sdk.client import Client


def test_findings_stand_beside_the_curve_and_lead_into_it(
    window: Open, client: Client, hold: Hold, colours: str
) -> None:
    hold.at(2)
    run = start_run(client, colours, "diagnosed", 120)
    page = window().open(f"/runs/{run}")
    card = page.locator("#diagnosis")
    expect(card).to_contain_text("Not enough measurements yet.")
    hold.release()
    expect(page.locator("#run-head .badge").first).to_have_text("Succeeded")
    expect(card).to_contain_text("Very low loss")
    expect(card.locator(".card-head")).to_contain_text("steps up to 120")
    expect(card.locator(".advice li").first).to_contain_text("validation_split_ratio")
    expect(page.locator("#l-finding")).to_be_visible()
    card.get_by_role("button", name="Show steps 4 to 120").click()
    expect(page.locator("#zoom-out")).to_be_visible()
    expect(page).to_have_url(re.compile("from=4&to=120"))
    expect(page.locator("#diagnosis[hx-trigger]"), "what is over isn't asked for again").to_have_count(0)
