"""Every room of the console, as a person sees it: wide and narrow, light and dark, without a single complaint."""

from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from tests.served import Served
from tests.web.conftest import PHONE, WIDE, Open, start_run
from tunery.sdk.client import Client

_UNNAMED = """() => [...document.querySelectorAll("input, select, textarea, button, a[href], summary")]
.filter((one) => {
    if (one.type === "hidden" || one.closest("[hidden]") || one.closest("dialog:not([open])")) return false;
    const name = one.getAttribute("aria-label") || [...(one.labels ?? [])].map((label) => label.textContent).join("")
        || (["BUTTON", "A", "SUMMARY"].includes(one.tagName) ? one.textContent : "");
    return !name.trim();
}).map((one) => one.outerHTML.slice(0, 200))"""
_WIDER = "document.documentElement.scrollWidth - document.documentElement.clientWidth"


@pytest.fixture(scope="module")
def addresses(client: Client, colours: str) -> list[str]:
    """Every kind of page, with something on it."""
    run = start_run(client, colours, "seen", 12)
    for event in client.runs.stream(run):
        assert event.type
    tabs = [f"/runs/{run}?tab={tab}" for tab in ("curves", "evaluation", "log", "events", "settings")]
    rooms = [
        "/",
        "/datasets",
        "/datasets/new",
        "/runs",
        "/runs?state=failed",
        "/runs/new",
        f"/runs/new?clone={run}",
    ]
    data = [
        f"/datasets/{colours}?tab={tab}"
        for tab in ("rows", "statistics", "seen", "compare", "report", "versions")
    ]
    return [*rooms, "/runs/new?demo=1", *tabs, *data, "/models", "/models/base", "/playground"]


@pytest.mark.parametrize(
    ("size", "dark"), [(WIDE, False), (PHONE, True)], ids=["wide and light", "phone and dark"]
)
def test_every_room(
    window: Open, addresses: list[str], size: dict[str, int], dark: bool, tmp_path: Path
) -> None:
    seen = window(size=size, dark=dark)
    for number, address in enumerate(addresses):
        page = seen.open(address)
        page.wait_for_load_state("networkidle" if "/runs" not in address else "load")
        assert page.locator("h1").count() == 1, address
        assert page.evaluate(_UNNAMED) == [], address
        assert page.evaluate(_WIDER) <= 0, f"{address} is wider than the screen"
        page.screenshot(path=tmp_path / f"{number:02d}.png", full_page=True)
    assert len(list(tmp_path.glob("*.png"))) == len(addresses)


def test_an_address_that_leads_nowhere_is_a_page(window: Open) -> None:
    seen = window(expected=("404",))
    page = seen.open("/datasets/no-such-thing")
    assert page.inner_text("h1") == "There is no dataset “no-such-thing”."
    assert "not_found" in page.inner_text("main")
    assert page.get_by_role("link", name="Go to the start page").get_attribute("href") == "/"


def test_pages_need_no_scripts_to_be_read(browser: Browser, served: Served, colours: str) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(f"{served.url}/datasets/{colours}")
    assert page.url.startswith(f"{served.url}/login?next=")
    page.fill("#token", served.token)
    page.click("button[type=submit]")
    page.wait_for_url(f"{served.url}/datasets/{colours}")
    expect(page.locator("#rows")).to_contain_text("What is 0 and one?")
    page.get_by_role("link", name="Next").click()
    expect(page.locator("#rows")).to_contain_text("What is 10 and one?")
    context.close()


def test_the_keyboard_reaches_and_shows_where_it_is(window: Open) -> None:
    page = window().open("/datasets/new")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent.trim()") == "Start"
    assert page.evaluate("getComputedStyle(document.activeElement).boxShadow") != "none"
