"""A run's page while the run goes on: it follows, it asks before it ends something, it survives reload and restart."""

import os
import re
import signal
import subprocess
from pathlib import Path

import pytest
from playwright.sync_api import Route, expect

from tests.hold import Hold
from tests.patience import PATIENCE
from tests.served import Served, server
from tests.web.conftest import Open, add_rows, start_again, start_run
from tunery.sdk.client import Client

_COUNT_ANSWERS = """() => {
    window.answers = 0;
    document.body.addEventListener("htmx:afterRequest", () => { window.answers += 1; });
}"""


def test_the_curve_grows_and_the_run_ends_by_itself(
    window: Open, client: Client, hold: Hold, colours: str
) -> None:
    hold.at(50)
    run = start_run(client, colours, "grows", 150)
    page = window().open(f"/runs/{run}")
    page.wait_for_selector("#loss-chart canvas")
    expect(page.locator("#v-step")).to_have_text("step 50")
    hold.release()
    expect(page.locator("#run-head .badge").first).to_have_text("Succeeded")
    expect(page.locator("#v-step")).to_have_text("step 150")
    expect(page.locator("#l-checkpoint")).to_be_visible()
    page.check("#log-axis")
    expect(page).to_have_url(re.compile("log=1"))
    page.reload()
    expect(page.locator("#v-step")).to_have_text("step 150")
    expect(page.locator("#log-axis")).to_be_checked()


def test_the_evaluation_tells_its_row_on_the_page_and_long_answers_are_folded(
    window: Open, client: Client, hold: Hold, colours: str
) -> None:
    hold.at(100)
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
    expect(head).to_contain_text("Base model answers: row ")
    stage = next(one for one in client.runs.get(run).stages if one.name == "evaluate")
    assert (stage.state, stage.doing, stage.total) == ("running", "base model answers", 200)
    assert 0 < stage.done <= 100
    hold.release()
    expect(head.locator(".badge").first).to_have_text("Succeeded")
    expect(head).not_to_contain_text("answers: row ")
    page.get_by_role("link", name="Evaluation").click()
    page.wait_for_url("**tab=evaluation**")
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
    expect(page.locator("#run-head .badge").first).to_have_text("Succeeded")
    # The head is asked for anew, and its answer comes when the dialog is open.
    late: list[Route] = []
    page.route("**/head", lambda route: late.append(route))
    page.evaluate(_COUNT_ANSWERS)
    with page.expect_request("**/head"):
        page.evaluate("htmx.trigger('#run-head', 'tunery:changed')")
    page.locator("#do-publish").click()
    dialog = page.locator("#ask-publish")
    expect(dialog).to_be_visible()
    assert [text.partition(" (")[0] for text in dialog.locator("option").all_inner_texts()] == [
        "Final, step 12",
        "Step 10",
        "Step 5",
    ]
    for route in late:
        route.continue_()
    page.unroute("**/head")
    page.wait_for_function("() => window.answers > 0")
    dialog.get_by_role("button", name="Publish").click()
    page.wait_for_url("**/models/gives#v1")
    expect(page.locator("#v1")).to_contain_text("gives #1, step 12")
    page.goto(page.url.partition("/models")[0] + f"/runs/{run}")
    expect(page.locator("#to-model")).to_have_attribute("href", "/models/gives#v1")
    page.get_by_role("link", name="Settings").click()
    page.wait_for_url("**tab=settings**")
    rows = page.locator("tbody tr")
    expect(rows.first.locator(".tag")).to_have_text("changed")
    expect(page.locator("table").first).to_contain_text("weight_decay")
    expect(page.locator("table").first).not_to_contain_text("lora_rank")
    page.get_by_role("button", name="Publish a checkpoint").click()
    assert "Final" not in page.inner_text("#ask-publish")
    page.fill("#publish-name", "early")
    page.select_option("#publish-step", "5")
    page.locator("#ask-publish").get_by_role("button", name="Publish").click()
    page.wait_for_url("**/models/early#v1")


def test_stop_and_keep_asks_first(window: Open, client: Client, colours: str) -> None:
    run = start_run(client, colours, "stops", 100_000)
    page = window().open(f"/runs/{run}")
    page.locator("#do-stop").click()
    dialog = page.locator("#ask-stop")
    dialog.get_by_role("button", name="Back").click()
    assert client.runs.get(run).state == "running"
    page.locator("#do-stop").click()
    dialog.get_by_role("button", name="Stop and keep").click()
    expect(page.locator("#toasts")).to_contain_text("the model so far is kept")
    expect(page.locator("#run-head .badge").first).to_have_text("Stopped")
    expect(page.locator("#do-publish")).to_be_visible()


def test_pause_and_resume_and_cancel(window: Open, client: Client, colours: str) -> None:
    run = start_run(client, colours, "pauses", 100_000)
    page = window().open(f"/runs/{run}")
    expect(page.locator("#v-step")).to_have_text(
        re.compile("step [1-9]")
    )  # there is something to continue from
    page.locator("#do-pause").click()
    page.locator("#ask-pause").get_by_role("button", name="Pause").click()
    expect(page.locator("#run-head")).to_contain_text("Paused at step")
    page.locator("#do-resume").click()
    expect(page.locator("#run-head .badge").first).to_have_text("Running")
    expect(page.locator("#l-restart")).to_be_visible()
    page.locator("#do-cancel").click()
    expect(page.locator("#ask-cancel")).to_contain_text("there will be no model")
    page.locator("#ask-cancel").get_by_role("button", name="Cancel and discard").click()
    expect(page.locator("#run-head .badge").first).to_have_text("Cancelled")


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
    run = start_run(client, colours, "late", 100_000)
    page = window(expected=("409",)).open(f"/runs/{run}")
    page.locator("#do-cancel").click()
    client.runs.cancel(run)
    client.runs.wait(run, timeout=PATIENCE)
    page.locator("#ask-cancel").get_by_role("button", name="Cancel and discard").click()
    expect(page.locator("#ask-cancel").get_by_role("alert")).to_contain_text("its state is cancelled")


@pytest.mark.slow
def test_the_page_survives_a_restart_of_the_server(window: Open, tmp_path: Path, free_port: int) -> None:
    with server(tmp_path, port=free_port) as own, Client(own.url, own.token) as client:
        rows = add_rows(client, tmp_path, "rows", 120)
        own.hold.at(300)
        run = start_run(client, rows, "survives", 400)
        lost = ("ERR_CONNECTION", "ERR_INCOMPLETE", "ERR_EMPTY", "ERR_NETWORK", "/htmx.min.js")
        page = window(own, expected=lost).open(f"/runs/{run}")
        page.wait_for_selector("#loss-chart canvas")
        os.kill(own.process.pid, signal.SIGKILL)
        expect(page.locator("#connection")).to_be_visible()
        again = start_again(own)
        own.hold.release()
        try:
            expect(page.locator("#connection")).to_be_hidden()
            expect(page.locator("#run-head .badge").first).to_have_text("Succeeded")
            expect(page.locator("#v-step")).to_have_text("step 400")
            assert client.runs.metrics(run)[0].steps[-1] == 400
        finally:
            again.send_signal(signal.SIGINT)
            try:
                again.communicate(timeout=PATIENCE)
            except subprocess.TimeoutExpired:
                again.kill()
                again.communicate()
                raise
