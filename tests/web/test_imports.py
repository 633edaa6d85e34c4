"""Bringing data in by the console: an upload that is interrupted, and what can be done after a refused import."""

import json
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.served import Served
from tests.web.conftest import PHONE, Open
from tunery.sdk.client import Client


def row(n: int) -> dict[str, str]:
    return {"instruction": f"Add one to {n}.", "input": "", "output": str(n + 1)}


def write(path: Path, *lines: object) -> Path:
    path.write_text("\n".join(line if isinstance(line, str) else json.dumps(line) for line in lines) + "\n")
    return path


def bring(page: Page, path: Path, name: str) -> None:
    page.goto(page.url.split("/datasets")[0] + "/datasets/new")
    page.set_input_files("#file", path)
    page.fill("#name", name)
    page.get_by_role("button", name="Import", exact=True).click()
    page.wait_for_url(f"**/datasets/{name}")
    expect(page.locator("dl.stats")).to_be_visible()


def reach(page: Page, bytes: int) -> None:
    page.wait_for_function(
        "bytes => document.querySelector('#upload-progress progress').value >= bytes", arg=bytes
    )


def test_an_upload_goes_on_after_a_pause_a_reload_and_a_cut_line(
    window: Open, client: Client, tmp_path: Path
) -> None:
    opened = window(expected=("ERR_INTERNET_DISCONNECTED", "Failed to load"))
    page = opened.open("/datasets/new")
    path = write(tmp_path / "slow.jsonl", *({**row(n), "input": "x" * 6000} for n in range(8000)))
    line = page.context.new_cdp_session(page)
    slow = {"offline": False, "latency": 0, "downloadThroughput": -1, "uploadThroughput": 6_000_000}
    line.send("Network.enable")
    line.send("Network.emulateNetworkConditions", slow)
    page.set_input_files("#file", path)
    page.get_by_role("button", name="Import", exact=True).click()
    reach(page, 9_000_000)
    page.get_by_role("button", name="Pause").click()
    expect(page.locator("#upload-says")).to_contain_text("Paused at")
    (left,) = client.uploads.list().data
    assert 8_000_000 < left.offset < left.bytes
    page.reload()
    expect(page.get_by_role("region", name="Interrupted uploads")).to_contain_text("slow.jsonl")
    page.set_input_files("#file", path)
    expect(page.locator("#drop-help")).to_contain_text("resumes after")
    line.send("Network.emulateNetworkConditions", slow)
    page.get_by_role("button", name="Import", exact=True).click()
    reach(page, 17_000_000)
    line.send("Network.emulateNetworkConditions", {**slow, "offline": True})
    expect(page.locator("#upload-says")).to_contain_text("trying again")
    line.send("Network.emulateNetworkConditions", {**slow, "uploadThroughput": -1})
    page.wait_for_url("**/datasets/slow")
    expect(page.locator("dl.stats .badge")).to_have_text("Published")
    assert client.datasets.wait("slow").rows == 8000
    assert client.uploads.list().data == []


def test_an_interrupted_upload_is_given_up(window: Open, client: Client) -> None:
    client.uploads.create("forgotten.jsonl", 1000)
    page = window().open("/datasets/new")
    page.get_by_role("button", name="Discard").click()
    expect(page.locator("#upload")).to_be_visible()
    expect(page.locator("main")).not_to_contain_text("forgotten.jsonl")
    assert client.uploads.list().data == []


def test_refused_rows_are_fixed_or_left_out(window: Open, client: Client, tmp_path: Path) -> None:
    bad = ['{"instruction": 3', {"instruction": "x <b>y</b>", "output": ""}, {"instruction": "y"}]
    page = window(expected=("422",)).open("/datasets")
    bring(page, write(tmp_path / "a.jsonl", *map(row, range(40)), *bad, row(50)), "refused")
    report = page.locator("#report")
    expect(report).to_contain_text("records have the fields instruction and output")
    expect(report.locator("tbody tr")).to_have_count(3)
    expect(report.locator("tbody")).to_contain_text("row 42, byte")
    page.get_by_role("link", name="empty_answer").click()
    expect(report.locator("tbody tr")).to_have_count(1)
    page.get_by_role("button", name="Fix row 42").click()
    dialog = page.get_by_role("dialog")
    expect(dialog.locator("textarea")).to_have_value('{"instruction": "x <b>y</b>", "output": ""}')
    dialog.locator("textarea").fill('{"instruction": "x", "output": 4}')
    dialog.get_by_role("button", name="Check and save").click()
    # What was refused stands in the dialog, where it can be seen, and goes with it.
    expect(dialog.get_by_role("alert")).to_contain_text("not_text")
    expect(page.locator("#toasts")).not_to_contain_text("not_text")
    dialog.locator("textarea").fill('{"instruction": "x", "output": "4"}')
    dialog.get_by_role("button", name="Check and save").click()
    expect(report.locator("tbody")).to_contain_text("Fixed")
    expect(dialog).to_be_hidden()
    # What to do next is in view; while other bad rows are left, no button promises to import with the fixes alone.
    go_on = page.get_by_role("button", name="Import with 1 fixed row, without the other 2")
    expect(go_on).to_be_in_viewport()
    expect(report.locator(".btn.primary:visible")).to_have_count(1)
    page.goto(page.url.split("?")[0])
    go_on.click()
    expect(page.locator("dl.stats .badge")).to_have_text("Published")
    version = client.datasets.wait("refused")
    assert version.report is not None
    assert (version.version, version.rows, version.report.rows_rejected) == (1, 42, 2)
    # The rest comes as a fixed file and makes the next version.
    held = client.datasets.quarantine_rows("refused", 1).rows
    lines = [{"file": one.file, "row": one.row, "text": json.dumps(row(one.row))} for one in held]
    page.goto(page.url.split("?")[0] + "?tab=report")
    page.set_input_files("#fixed-file", write(tmp_path / "fixed.jsonl", *lines))
    expect(page.locator("#toasts")).to_contain_text("2 fixed rows are valid now.")
    page.get_by_role("button", name="Import with 2 fixed rows").click()
    expect(page.locator("dl.stats .extra").first).to_contain_text("@2")
    assert client.datasets.wait("refused").rows == 44


def test_columns_are_corrected_and_offered_next_time(window: Open, client: Client, tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", *({"question": f"q{n}", "reply": f"a{n}"} for n in range(30)))
    page = window().open("/datasets")
    page.goto(page.url + "/new")
    page.set_input_files("#file", path)
    page.fill("#name", "named")
    page.get_by_role("button", name="Import", exact=True).click()
    page.wait_for_url("**/datasets/named")
    expect(page.locator(".note.bad")).to_contain_text("wasn't recognised")
    page.get_by_label("Field 1 of the format").fill("instruction")
    page.get_by_label("Column read as field 1").select_option("question")
    page.get_by_label("Field 2 of the format").fill("output")
    page.get_by_label("Column read as field 2").select_option("reply")
    page.get_by_role("button", name="Import again with these columns").click()
    expect(page.locator("dl.stats .badge")).to_have_text("Published")
    page.get_by_role("link", name="New version").click()
    page.wait_for_url("**/datasets/new**")
    expect(page.get_by_label("Column read as field 2")).to_have_value("reply")
    page.set_input_files("#file", path)
    page.get_by_role("button", name="Import", exact=True).click()
    page.wait_for_url("**/datasets/named")
    expect(page.locator("dl.stats .extra").first).to_contain_text("@2")
    latest = client.datasets.wait("named")
    assert (latest.version, latest.rows) == (2, 30)


def test_a_cut_off_list_is_salvaged(window: Open, client: Client, tmp_path: Path) -> None:
    path = tmp_path / "cut.json"
    path.write_text(json.dumps([row(n) for n in range(30)], indent=1)[:-15])
    page = window(size=PHONE).open("/datasets")
    page.goto(page.url + "/new")
    page.set_input_files("#file", path)
    page.get_by_role("button", name="Import", exact=True).click()
    page.get_by_role("button", name="Import the 29 complete rows before it").click()
    expect(page.locator("dl.stats .badge")).to_have_text("Published")
    assert client.datasets.wait("cut").rows == 29


@pytest.mark.parametrize(
    ("name", "count"),
    [
        ("alpaca_en_demo.json", 999),
        ("dpo_en_demo.json", 300),
        ("kto_en_demo.json", 300),
        ("c4_demo.jsonl", 300),
    ],
)
def test_real_files(
    window: Open, client: Client, served: Served, real_rows: Callable[[str], Path], name: str, count: int
) -> None:
    page = window().open("/datasets")
    bring(page, real_rows(name), name.partition(".")[0])
    expect(page.locator("dl.stats .badge")).to_have_text("Published")
    assert client.datasets.wait(name.partition(".")[0]).rows == count


def test_a_registry_makes_several_datasets(window: Open, client: Client, tmp_path: Path) -> None:
    registry = {
        "first": {"file_name": "a.json"},
        "second": {"file_name": "b.json", "columns": {"prompt": "q", "response": "a"}},
        "far": {"hf_hub_url": "someone/far"},
    }
    with zipfile.ZipFile(tmp_path / "data.zip", "w") as archive:
        archive.writestr("dataset_info.json", json.dumps(registry))
        archive.writestr("a.json", json.dumps([row(n) for n in range(20)]))
        archive.writestr("b.json", json.dumps([{"q": "1", "a": "2", "input": "not read"}] * 10))
    page = window().open("/datasets/new")
    page.set_input_files("#file", tmp_path / "data.zip")
    page.select_option("#format", "registry")
    expect(page.locator("#name")).to_be_disabled()
    page.get_by_role("button", name="Import", exact=True).click()
    expect(page.locator("#upload-problem")).to_contain_text("2 datasets are being imported.")
    expect(page.locator("#upload-problem")).to_contain_text("far is skipped: it is hosted on a hub")
    page.get_by_role("link", name="second").click()
    expect(page.locator("dl.stats .badge")).to_have_text("Published")
    assert [client.datasets.wait(name).rows for name in ("first", "second")] == [20, 10]


def test_a_ready_made_dataset_is_imported(window: Open, client: Client) -> None:
    page = window().open("/datasets/new")
    offered = page.locator("#presets")
    expect(offered.locator("tbody tr")).to_have_count(3)
    offered.get_by_role("button", name="Import General questions").click()
    expect(page.locator("dl.stats .badge")).to_have_text("Published")
    assert client.datasets.wait("general-questions").rows == 2000
    page.goto(page.url.split("/datasets")[0] + "/datasets/new")
    expect(offered.get_by_role("link", name="Open")).to_have_attribute("href", "/datasets/general-questions")
