"""Connections in the console: made, tried and imported from by a person with a keyboard."""

import os
from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from tests.connections.conftest import rows
from tests.connections.seaweed import SECRET, Seaweed
from tests.served import Served, server
from tests.web.conftest import PHONE, Open, browser, window
from tests.web.test_rooms import _UNNAMED, _WIDER
from tunery.sdk.client import Client

__all__ = ["browser", "window"]
SHOTS = os.environ.get("TUNERY_TEST_SHOTS")


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with server(tmp_path_factory.mktemp("console"), TUNERY_PRIVATE_HOSTS='["127.0.0.1"]') as found:
        yield found


def looked_at(page: Page, name: str) -> None:
    assert page.locator("h1").count() == 1
    assert page.evaluate(_UNNAMED) == []
    assert page.evaluate(_WIDER) <= 0, f"{page.url} is wider than the screen"
    if SHOTS:
        page.screenshot(path=f"{SHOTS}/connections-{name}.png", full_page=True)


def test_a_bucket_is_connected_mended_and_imported(window: Open, store: Seaweed, bucket: str) -> None:
    store.put(bucket, "tickets/jsonl/1.jsonl", rows(60))
    seen = window(expected=("403", "422"))
    page = seen.open("/connections")
    looked_at(page, "none")
    page.get_by_role("link", name="Add a connection").first.click()
    page.wait_for_url("**/connections/new**")
    page.get_by_label("Name", exact=True).fill("lake")
    page.get_by_label("Endpoint").fill("http://10.0.0.1")
    page.get_by_label("Bucket").fill(bucket)
    page.get_by_label("Access key").fill("AKIDNOBODY")
    page.get_by_label("Secret key").fill("wrong-canary")
    looked_at(page, "form")
    page.get_by_label("Secret key").press("Enter")
    expect(page.locator("#toasts")).to_contain_text("a private address")
    page.get_by_label("Endpoint").fill(store.endpoint)
    page.keyboard.press("Enter")
    page.wait_for_url("**/connections/lake")
    expect(page.locator("#test [role=alert]")).to_contain_text("doesn't recognise this access key")
    looked_at(page, "fails")
    assert "wrong-canary" not in page.content()
    page.get_by_role("button", name="Delete the connection").click()
    page.get_by_role("button", name="Delete", exact=True).click()
    page.wait_for_url("**/connections")
    page.goto(f"{seen.url}/connections/new")
    for label, value in (
        ("Name", "lake"), ("Endpoint", store.endpoint), ("Bucket", bucket), ("Access key", "AKIDTUNERYTEST"),
        ("Secret key", SECRET),
    ):  # fmt: skip
        page.get_by_label(label, exact=True).fill(value)
    page.get_by_role("button", name="Save and test").click()
    page.wait_for_url("**/connections/lake")
    expect(page.locator("#test")).to_contain_text("It works")
    looked_at(page, "works")
    page.get_by_role("button", name="Test", exact=True).click()
    expect(page.locator("#test")).to_contain_text("can be listed and read. Files seen: 1.")
    assert SECRET not in page.content()
    page.get_by_label("Path").fill("nothing/here")
    page.get_by_label("Dataset name").fill("tickets")
    page.keyboard.press("Enter")
    expect(page.locator("#toasts")).to_contain_text("no files to import")
    page.get_by_label("Path").fill("tickets")
    page.keyboard.press("Enter")
    page.wait_for_url("**/datasets/tickets")
    expect(page.locator("dl.stats")).to_contain_text("60")
    looked_at(page, "dataset")
    page.goto(f"{seen.url}/connections")
    expect(page.locator("table")).to_contain_text("Works")
    looked_at(page, "list")


def test_on_a_phone_in_the_dark(window: Open, served: Served, store: Seaweed, bucket: str) -> None:
    with Client(served.url, served.token) as client:
        client.connections.create("phone", **store.settings(bucket))
        assert client.connections.test("phone").ok
    seen = window(size=PHONE, dark=True)
    for address, name in (
        ("/connections", "list"),
        ("/connections/new", "form"),
        ("/connections/new?kind=model_hub", "hub"),
        ("/connections/phone", "one"),
    ):
        looked_at(seen.open(address), f"phone-{name}")
