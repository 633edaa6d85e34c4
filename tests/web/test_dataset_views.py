"""The views of a dataset by the browser: found rows, statistics, the model's side, differences, deleted versions."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.patience import PATIENCE
from tests.served import Served
from tests.web.conftest import PHONE, Open
from tunery.sdk.client import Client

_WIDER = "document.documentElement.scrollWidth - document.documentElement.clientWidth"


@pytest.fixture(scope="module")
def twice(client: Client, served: Served, real_rows: Callable[[str], Path]) -> str:
    """Real rows as version 1; one removed, one changed and one added as version 2."""
    file = real_rows("alpaca_en_demo.json")
    records = json.loads(file.read_bytes())[:120]
    records[5] |= {"instruction": "Name a <b>capital</b>.", "output": "Paris & <script>alert(1)</script>"}
    # The row without an answer is refused; so it is missing from the second version.
    second = [*records[1:3], {**records[3], "output": "Changed."}, *records[4:], {**records[5], "output": ""}]
    for number, rows in enumerate([records, second]):
        path = served.folder / f"twice{number}.json"
        path.write_text(json.dumps(rows), encoding="utf-8")
        client.datasets.create(path, name="twice", accept_bad_rows=True)
        client.datasets.wait("twice", timeout=PATIENCE)
    return "twice"


def test_rows_are_found_and_marked(window: Open, twice: str) -> None:
    page = window().open(f"/datasets/{twice}?tab=rows")
    page.fill("#find-text", "<SCRIPT>")
    page.get_by_role("button", name="Find").click()
    expect(page.locator("#rows")).to_contain_text("1 of 119 rows match")
    expect(page.locator("#rows mark")).to_have_text("<script>")
    expect(page).to_have_url(re.compile("text=%3CSCRIPT%3E"))
    page.select_option("#find-role", "user")
    page.get_by_role("button", name="Find").click()
    expect(page.locator("#rows")).to_contain_text("No matching rows")
    page.go_back()
    expect(page.locator("#rows")).to_contain_text("1 of 119 rows match")


def test_statistics_are_measured_and_lead_to_their_rows(window: Open, client: Client, twice: str) -> None:
    page = window().open(f"/datasets/{twice}?tab=rows&having=short_answers")
    expect(page.locator("#rows")).to_contain_text("hasn't been measured yet")
    page.get_by_role("link", name="Go to statistics").click()
    page.wait_for_url("**tab=statistics**")
    page.get_by_role("button", name="Measure").click()
    expect(page.locator(".histogram").first).to_be_visible()
    expected = client.datasets.statistics(twice, 2, base_model="tunery-starter", length=100)
    assert expected.found is not None
    assert expected.cut is not None
    page.fill("#length", "100")
    page.get_by_role("button", name="How many rows?").click()
    expect(page.locator("#cut")).to_contain_text(f"{expected.cut.rows} rows")
    page.get_by_role("link", name="Short answers").click()
    found = client.datasets.search(twice, 2, having="short_answers")
    assert found.total == expected.found.short_answers > 0
    expect(page.locator("#rows")).to_contain_text(f"{found.total} of 119 rows match")


def test_the_model_s_side_is_what_the_api_says(window: Open, client: Client, twice: str) -> None:
    page = window().open(f"/datasets/{twice}?tab=seen")
    page.fill("#length", "60")
    page.get_by_role("button", name="Show").click()
    expect(page.locator("#seen")).to_contain_text("at most 60 tokens")
    seen = client.datasets.seen(twice, 2, base_model="tunery-starter", max_sequence_length=60, limit=3)
    shown = page.locator("#seen .tokens")
    expect(shown).to_have_count(3)
    for number, row in enumerate(seen.rows):
        pieces = shown.nth(number).locator(".tok")
        wanted = row.sequences[0].pieces
        assert pieces.all_text_contents() == [piece.text for piece in wanted]
        learnt = [
            " learnt" in name for name in pieces.evaluate_all("(all) => all.map((one) => one.className)")
        ]
        assert learnt == [piece.learnt for piece in wanted]
    assert any(row.sequences[0].cut for row in seen.rows)
    assert page.locator("#seen .cut-mark").count() == sum(row.sequences[0].cut > 0 for row in seen.rows)
    page.get_by_role("link", name="Next").click()
    expect(page.locator("#seen .sample .n").first).to_have_text("4")
    expect(page).to_have_url(re.compile("length=60"))


def test_versions_are_compared_and_one_is_deleted(window: Open, twice: str) -> None:
    page = window().open(f"/datasets/{twice}?tab=compare")
    page.get_by_role("button", name="Compare").click()
    kinds = page.get_by_role("navigation", name="Kinds of rows")
    expect(kinds).to_contain_text("Changed 1")
    expect(kinds).to_contain_text("Unchanged 118")
    expect(page.locator(".come")).to_contain_text("Changed.")
    kinds.get_by_role("link", name="Removed").click()
    expect(kinds.locator("[aria-current]")).to_contain_text("Removed")
    expect(page.locator("#compare .sample")).to_have_count(1)
    page.goto(page.url.split("?")[0] + "?tab=versions")
    page.get_by_role("button", name=re.compile("Delete .*@1")).click()
    page.get_by_role("button", name="Delete the rows").click()
    expect(page.locator("main")).to_contain_text("Deleted")
    page.locator("tbody").get_by_role("link", name=re.compile("@1$")).click()
    expect(page.locator("#rows")).to_contain_text("The rows of this version were deleted")
    page.goto(page.url.split("?")[0] + "?tab=versions")
    page.get_by_role("button", name="Free it now").click()
    expect(page.locator("main")).to_contain_text("Deleted")


def test_the_views_fit_a_phone(window: Open, client: Client, twice: str) -> None:
    client.datasets.statistics(twice, 2, base_model="tunery-starter")
    seen = window(size=PHONE, dark=True)
    for tab in ("rows", "statistics", "seen", "compare", "versions"):
        page = seen.open(f"/datasets/{twice}?tab={tab}")
        assert page.evaluate(_WIDER) <= 0, tab
        assert page.locator("h1").count() == 1
