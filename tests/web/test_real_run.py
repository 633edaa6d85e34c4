"""The whole way in the browser, with the real engine and a real replica: fine-tune, judge, publish, talk."""

import json
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.patience import PATIENCE
from tests.served import server
from tests.toys import toy_conversations, toy_model
from tests.web.conftest import Open
from tunery.data.rows import Conversation
from tunery.sdk.client import Client


def _written(folder: Path, name: str, rows: list[Conversation]) -> str:
    lines = (
        json.dumps({"messages": [{"role": one.role, "content": one.text} for one in row.messages]})
        for row in rows
    )
    path = folder / f"{name}.jsonl"
    path.write_text("\n".join(lines) + "\n")
    return str(path)


@pytest.mark.slow
@pytest.mark.e2e
def test_from_rows_to_an_answer(window: Open, tmp_path: Path) -> None:
    base = toy_model(tmp_path / "toy")
    with server(tmp_path, TUNERY_ENGINE_COMMAND="[]", TUNERY_ENGINE_THREADS="1") as own:
        with Client(own.url, own.token) as client:
            client.base_models.add(str(base), name="toy")
            for name, count, seed in (("rows", 120, 0), ("held-out", 12, 1)):
                client.datasets.create(_written(tmp_path, name, toy_conversations(count, seed)), name=name)
                client.datasets.wait(name, timeout=PATIENCE)
        page = window(own).open("/runs/new?dataset=rows&base=toy")
        page.select_option("#evaluate", "held-out")
        page.fill("#name", "colours")
        page.check("#publish")
        page.locator("summary", has_text="Advanced").click()
        page.fill("#set-max_steps", "6")
        expect(page.locator("#start")).to_be_enabled()
        page.click("#start")
        expect(page.locator("#run-head .badge").first).to_have_text("Succeeded")
        expect(page.locator("#v-step")).to_have_text("step 6")
        page.get_by_role("link", name="Evaluation").click()
        expect(page.locator("table")).to_contain_text("Exact match")
        expect(page.locator("#eval-rows .compare")).to_have_count(8)
        page.get_by_role("link", name="Events").click()
        expect(page.locator("#events")).to_contain_text("Published as colours:1.")
        page.get_by_role("link", name="Try it").click()
        page.wait_for_url("**/playground**")
        expect(page.locator("#model-a")).to_have_value("colours:1")
        expect(page.locator("#model-b")).to_have_value("toy")
        page.fill("#max_tokens", "8")
        page.fill("#message", "What is the red house?")
        page.press("#message", "Enter")
        expect(page.locator("[data-side=a] [data-speed]")).to_contain_text("tokens")
        expect(page.locator("[data-side=b] [data-speed]")).to_contain_text("tokens")
        expect(page.locator(".turn.assistant:not(.bad)")).to_have_count(2)
        page = window(own).open("/models/colours")
        expect(page.locator(".lineage")).to_contain_text("toy")
        expect(page.locator("main")).to_contain_text("Exact match")
