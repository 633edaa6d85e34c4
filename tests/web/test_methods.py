"""Methods that learn from preferences, in the form, and what becomes of a model that only gives scores."""

import json
import os

import pytest
from playwright.sync_api import expect

from tests.patience import PATIENCE
from tests.served import Served
from tests.web.conftest import Open
from tunery.sdk.client import Client


@pytest.fixture(scope="module")
def pairs(client: Client, served: Served) -> str:
    """A published dataset of preferences."""
    path = served.folder / "pairs.jsonl"
    rows = [
        {"prompt": f"What is {n} and one?", "chosen": f"It is {n + 1}.", "rejected": "No."}
        for n in range(150)
    ]
    path.write_text("\n".join(map(json.dumps, rows)) + "\n", encoding="utf-8")
    client.datasets.create(str(path), name="pairs", publish=True)
    client.datasets.wait("pairs", timeout=PATIENCE)
    return "pairs"


def test_the_form_offers_what_fits_the_method_and_its_rows(window: Open, pairs: str, colours: str) -> None:
    page = window(expected=("/api/v1/runs/resolve",)).open(f"/runs/new?dataset={pairs}")
    expect(page.locator("#check")).to_contain_text("preference")
    page.check("[name=method][value=dpo]")
    expect(page.locator("#set-beta")).to_have_value("0.1")
    expect(page.locator("#check-badge")).to_have_text("Ready")

    metrics = page.locator("#metrics label:not([hidden])")
    of_answers = [metrics.filter(has_text=name) for name in ("Exact match", "Loss")]
    of_pairs = [metrics.filter(has_text=name) for name in ("Preference accuracy", "Preference margin")]
    page.select_option("#evaluate", pairs)
    for offered in of_answers + of_pairs:
        expect(offered).to_have_count(1)
    page.select_option("#evaluate", colours)
    for offered in of_pairs:
        expect(offered).to_have_count(0)
    for offered in of_answers:
        expect(offered).to_have_count(1)
    page.check("[name=method][value=reward]")
    page.select_option("#evaluate", pairs)
    for offered in of_pairs:
        expect(offered).to_have_count(1)
    expect(metrics).to_have_count(2)
    expect(page.locator("#check-badge")).to_have_text("Ready")
    if folder := os.environ.get("TUNERY_TEST_PICTURES"):
        page.screenshot(path=f"{folder}/form.png", full_page=True)


def test_nobody_is_sent_to_chat_with_a_reward_model(window: Open, client: Client, pairs: str) -> None:
    spec = {
        "name": "judge",
        "base_model": "tunery-starter",
        "method": "reward",
        "data": pairs,
        "settings": {"max_steps": 3, "finetuning_type": "full"},
        "publish": {"auto": True},
    }
    run = client.runs.create(spec).id
    client.runs.wait(run)
    one = window()
    page = one.open("/models/judge")
    expect(page.locator("main")).to_contain_text("can't be chatted with")
    expect(page.locator("main").get_by_role("link", name="Try it")).to_have_count(0)
    if folder := os.environ.get("TUNERY_TEST_PICTURES"):
        page.screenshot(path=f"{folder}/model.png", full_page=True)
    page = one.open(f"/runs/{run}")
    expect(page.locator("#to-model")).to_contain_text("judge:1")
    expect(page.locator("#do-try")).to_have_count(0)
