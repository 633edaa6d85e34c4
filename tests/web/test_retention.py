"""What is kept of finished runs, in the console and at the command line."""

import json
from pathlib import Path

from playwright.sync_api import expect

from tests.served import Served
from tests.web.conftest import PHONE, Open

_WIDER = "document.documentElement.scrollWidth - document.documentElement.clientWidth"


def test_the_rules_are_shown(window: Open, served: Served, tmp_path: Path) -> None:
    seen = window()
    page = seen.open("/runs")
    page.get_by_role("link", name="Retention").click()
    row = page.get_by_role("row").filter(has_text="TUNERY_KEEP_CHECKPOINTS_DAYS")
    expect(row).to_contain_text("31 days")
    expect(page.get_by_role("row").filter(has_text="TUNERY_KEEP_EVENTS_DAYS")).to_contain_text("Never")
    expect(page.get_by_role("button", name="Remove now")).to_be_disabled()
    page.screenshot(path=tmp_path / "rules.png", full_page=True)
    page.set_viewport_size(PHONE)
    assert page.evaluate(_WIDER) <= 0
    page.screenshot(path=tmp_path / "rules-phone.png", full_page=True)

    shown = json.loads(served.tunery("runs", "trim", "--dry-run", "--json").stdout)
    assert {one["part"]: one["days"] for one in shown["rules"]} == {
        "checkpoints": 31, "logs": 90, "events": 0, "orphans": 0,
    }  # fmt: skip
    assert "TUNERY_KEEP_LOGS_DAYS" in served.tunery("runs", "trim", "--dry-run").stdout
    assert "checkpoints: 0 removed" in served.tunery("runs", "trim").stdout
