"""Text from rows, names, events and answers is shown as text, whatever it looks like."""

import json

from playwright.sync_api import expect

from tests.served import Served
from tests.web.conftest import Open, add_rows, start_run
from tunery.sdk.client import Client

SCRIPT = "<script>window.broken = 1</script><img src=x onerror='window.broken = 1'>{{ 7 * 7 }}"

PATHS = ("/datasets/%3Cscript%3E", "/%3Cimg src=x%3E", "/runs?name=%3Cscript%3E")


def test_rows_are_text(window: Open, client: Client, served: Served) -> None:
    good = json.dumps(
        {"messages": [{"role": "user", "content": SCRIPT}, {"role": "assistant", "content": f"A {SCRIPT}"}]}
    )
    bad = json.dumps({"messages": [{"role": SCRIPT, "content": "x"}]})
    add_rows(client, served.folder, "hostile", 4, (good, bad, f"not json {SCRIPT}"))
    seen = window()
    page = seen.open("/datasets/hostile?tab=rows")
    assert page.locator(".sample .said.assistant .text").last.inner_text() == f"A {SCRIPT}"
    page = seen.open("/datasets/hostile?tab=report")
    assert "not json <script>" in page.inner_text("table")
    assert page.locator("dl.stats dd").all_inner_texts()[1:] == ["7", "5", "2"]
    assert page.evaluate("window.broken") is None


def test_what_people_write_about_a_run_is_text(window: Open, client: Client, colours: str) -> None:
    run = client.runs.create(
        {
            "name": "hostile",
            "description": SCRIPT,
            "base_model": "tunery-starter",
            "data": colours,
            "settings": {"max_steps": 2, "finetuning_type": "full"},
        }
    )
    seen = window()
    page = seen.open(f"/runs/{run.id}")
    assert page.inner_text("header.head p") == SCRIPT
    page = seen.open(f"/runs/new?clone={run.id}")
    assert page.input_value("#description") == SCRIPT
    expect(page.locator("#code")).to_contain_text("window.broken")
    assert page.evaluate("window.broken") is None


def test_addresses_and_errors_are_text(window: Open, client: Client, colours: str) -> None:
    run = start_run(client, colours, "plain", 2)
    seen = window(expected=("404", "422"))
    for path in (*PATHS, f"/runs/{run}?tab=%3Cscript%3E"):
        page = seen.open(path)
        assert page.locator("main script:not([type='application/json']), main img").count() == 0, path
        assert page.locator("h1, h2").count() >= 1
