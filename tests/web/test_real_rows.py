"""Real rows through the console: counted, and the same content as by any other way in."""

from collections.abc import Callable
from pathlib import Path

from playwright.sync_api import expect

from tests.web.conftest import Open
from tunery.sdk.client import Client


def test_the_console_imports_what_the_sdk_does(
    window: Open, client: Client, real_rows: Callable[[str], Path]
) -> None:
    file = real_rows("alpaca_en_demo.json")
    page = window().open("/datasets/new")
    page.set_input_files("#file", str(file))
    page.fill("#name", "by-console")
    page.get_by_role("button", name="Import", exact=True).click()
    expect(page.locator("main")).to_contain_text("999")
    client.datasets.create(file, name="by-sdk")
    expected = client.datasets.wait("by-sdk")
    found = client.datasets.wait("by-console")
    assert (found.rows, found.format) == (999, "alpaca")
    assert found.content_hash == expected.content_hash
