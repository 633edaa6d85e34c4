"""A run's page while the run goes on: it follows, it asks before it ends something, it survives reload and restart."""

import os
import signal
import subprocess
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.served import Served, server
from tests.web.conftest import Open, add_rows, start_again, start_run
from tunery.sdk.client import Client


def test_the_curve_grows_and_the_run_ends_by_itself(window: Open, client: Client, colours: str) -> None:
    run = start_run(client, colours, "grows", 150)
    page = window().open(f"/runs/{run}")
    page.wait_for_selector("#loss-chart canvas", timeout=30_000)
    early = page.inner_text("#v-step")
    page.wait_for_function("(early) => document.getElementById('v-step').textContent !== early", arg=early)
    expect(page.locator("#run-head .badge").first).to_have_text("Succeeded", timeout=30_000)
    expect(page.locator("#v-step")).to_have_text("step 150")
    expect(page.locator("#l-checkpoint")).to_be_visible()
    page.check("#log-axis")
    assert "log=1" in page.url
    page.reload()
    expect(page.locator("#v-step")).to_have_text("step 150")
    assert page.is_checked("#log-axis")


def test_the_evaluation_tells_its_row_on_the_page_and_long_answers_are_folded(
    window: Open, client: Client, colours: str
) -> None:
    spec = {
        "name": "judged",
        "base_model": "tunery-starter",
        "data": colours,
        "settings": {"max_steps": 2, "finetuning_type": "full"},
        "evaluate": {"dataset": colours, "max_rows": 200},
    }
    run = client.runs.create(spec).id
    page = window().open(f"/runs/{run}")
    head = page.locator("#run-head")
    expect(head).to_contain_text("Base model answers: row ", timeout=30_000)
    stage = next(one for one in client.runs.get(run).stages if one.name == "evaluate")
    assert (stage.state, stage.doing, stage.total) == ("running", "base model answers", 200)
    assert 0 < stage.done <= 200
    expect(head.locator(".badge").first).to_have_text("Succeeded", timeout=30_000)
    expect(head).not_to_contain_text("row ")
    page.get_by_role("link", name="Evaluation").click()
    folded = page.locator("#eval-rows details.long").first
    expect(folded.get_by_text("Show all 2,800 characters")).to_be_visible()
    short = folded.bounding_box()
    folded.locator("summary").click()
    long = folded.bounding_box()
    assert short is not None
    assert long is not None
    assert long["height"] > 2 * short["height"]
    folded.get_by_text("Show less").click()


def test_a_published_run_links_its_model_and_offers_what_isn_t_published(
    window: Open, client: Client, colours: str
) -> None:
    run = start_run(client, colours, "gives", 12)
    page = window().open(f"/runs/{run}")
    page.locator("#do-publish").click(timeout=30_000)
    dialog = page.locator("#ask-publish")
    assert [text.partition(" (")[0] for text in dialog.locator("option").all_inner_texts()] == [
        "Final, step 12",
        "Step 10",
        "Step 5",
    ]
    page.wait_for_timeout(1500)  # the end of the run renews the head, but not under an open dialog
    dialog.get_by_role("button", name="Publish").click()
    page.wait_for_url("**/models/gives#v1", timeout=30_000)
    expect(page.locator("#v1")).to_contain_text("gives #1, step 12")
    page.goto(page.url.partition("/models")[0] + f"/runs/{run}")
    expect(page.locator("#to-model")).to_have_attribute("href", "/models/gives#v1")
    page.get_by_role("link", name="Settings").click()
    rows = page.locator("tbody tr")
    expect(rows.first.locator(".tag")).to_have_text("changed")
    expect(page.locator("table").first).to_contain_text("weight_decay")
    expect(page.locator("table").first).not_to_contain_text("lora_rank")
    page.get_by_role("button", name="Publish a checkpoint").click()
    assert "Final" not in page.inner_text("#ask-publish")
    page.fill("#publish-name", "early")
    page.select_option("#publish-step", "5")
    page.locator("#ask-publish").get_by_role("button", name="Publish").click()
    page.wait_for_url("**/models/early#v1", timeout=30_000)


def test_stop_and_keep_asks_first(window: Open, client: Client, colours: str) -> None:
    run = start_run(client, colours, "stops", 5000)
    page = window().open(f"/runs/{run}")
    page.locator("#do-stop").click(timeout=30_000)
    dialog = page.locator("#ask-stop")
    dialog.get_by_role("button", name="Back").click()
    assert client.runs.get(run).state == "running"
    page.locator("#do-stop").click()
    dialog.get_by_role("button", name="Stop and keep").click()
    expect(page.locator("#toasts")).to_contain_text("the model so far is kept")
    expect(page.locator("#run-head .badge").first).to_have_text("Stopped", timeout=30_000)
    expect(page.locator("#do-publish")).to_be_visible()


def test_pause_and_resume_and_cancel(window: Open, client: Client, colours: str) -> None:
    run = start_run(client, colours, "pauses", 5000)
    page = window().open(f"/runs/{run}")
    page.locator("#do-pause").click(timeout=30_000)
    page.locator("#ask-pause").get_by_role("button", name="Pause").click()
    expect(page.locator("#run-head")).to_contain_text("Paused at step", timeout=30_000)
    page.locator("#do-resume").click()
    expect(page.locator("#run-head .badge").first).to_have_text("Running", timeout=30_000)
    expect(page.locator("#l-restart")).to_be_visible(timeout=30_000)
    page.locator("#do-cancel").click()
    expect(page.locator("#ask-cancel")).to_contain_text("there will be no model")
    page.locator("#ask-cancel").get_by_role("button", name="Cancel and discard").click()
    expect(page.locator("#run-head .badge").first).to_have_text("Cancelled", timeout=30_000)


def test_a_run_that_is_over_is_retried_from_a_stage(
    window: Open, client: Client, served: Served, colours: str, tmp_path: Path
) -> None:
    run = start_run(client, colours, "again", 12)
    client.runs.wait(run)
    page = window().open(f"/runs/{run}")
    page.click("#do-retry")
    page.get_by_label("Begin with").select_option("train")
    page.screenshot(path=tmp_path / "retry.png")
    page.get_by_role("button", name="Start the retry").click()
    expect(page.locator("#retry-of a")).to_have_text("again #1")
    made = client.runs.list(name="again").data[0]
    assert page.url.endswith(made.id)
    client.runs.wait(made.id)
    refused = served.tunery("runs", "retry", "again #1")
    assert "name the one to begin with" in refused.stderr
    done = served.tunery("runs", "retry", "again #1", "--from", "train")
    assert done.stdout.startswith("again #3 is queued"), done
    client.runs.wait("again #3")


def test_a_problem_of_an_action_is_said(window: Open, client: Client, colours: str) -> None:
    run = start_run(client, colours, "late", 5000)
    page = window(expected=("409",)).open(f"/runs/{run}")
    page.locator("#do-cancel").click()
    client.runs.cancel(run)
    client.runs.wait(run, timeout=60)
    page.locator("#ask-cancel").get_by_role("button", name="Cancel and discard").click()
    expect(page.locator("#ask-cancel").get_by_role("alert")).to_contain_text("its state is cancelled")


@pytest.mark.slow
def test_the_page_survives_a_restart_of_the_server(window: Open, tmp_path: Path) -> None:
    with server(tmp_path) as own, Client(own.url, own.token) as client:
        rows = add_rows(client, tmp_path, "rows", 120)
        run = start_run(client, rows, "survives", 900)
        lost = ("ERR_CONNECTION", "ERR_INCOMPLETE", "ERR_EMPTY", "ERR_NETWORK", "/htmx.min.js")
        page = window(own, expected=lost).open(f"/runs/{run}")
        page.wait_for_selector("#loss-chart canvas", timeout=30_000)
        os.kill(own.process.pid, signal.SIGKILL)
        expect(page.locator("#connection")).to_be_visible(timeout=20_000)
        again = start_again(own)
        try:
            expect(page.locator("#connection")).to_be_hidden(timeout=40_000)
            expect(page.locator("#run-head .badge").first).to_have_text("Succeeded", timeout=60_000)
            expect(page.locator("#v-step")).to_have_text("step 900")
            assert client.runs.metrics(run)[0].steps[-1] == 900
        finally:
            again.send_signal(signal.SIGINT)
            try:
                again.communicate(timeout=30)
            except subprocess.TimeoutExpired:
                again.kill()
                again.communicate()
                raise
