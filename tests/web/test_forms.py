"""The forms: an upload with its report, and a run that sends only what was changed."""

import json
import re
from pathlib import Path

import yaml
from playwright.sync_api import expect

from tests.web.conftest import Open
from tunery.sdk.client import Client

_DEMO = """() => {
    const form = Object.assign(document.createElement("form"), {method: "post", action: "/start/demo"});
    document.body.append(form);
    form.submit();
}"""


def _file(folder: Path, *lines: object) -> Path:
    path = folder / "my rows (1).jsonl"
    path.write_text("\n".join(line if isinstance(line, str) else json.dumps(line) for line in lines) + "\n")
    return path


def _row(n: int) -> dict[str, str]:
    return {"instruction": f"Add one to {n}.", "input": "", "output": str(n + 1)}


def test_an_upload_ends_at_the_dataset(window: Open, tmp_path: Path) -> None:
    page = window().open("/datasets/new")
    page.set_input_files("#file", _file(tmp_path, *map(_row, range(30))))
    expect(page.locator("#name")).to_have_value("my-rows-1")
    page.get_by_role("button", name="Import", exact=True).click()
    page.wait_for_url("**/datasets/my-rows-1")
    expect(page.locator("dl.stats .badge")).to_have_text("Published")
    expect(page.locator("#rows")).to_contain_text("Add one to 0.")
    page.get_by_role("link", name="Next").click()
    expect(page.locator("#rows")).to_contain_text("Add one to 10.")
    expect(page).to_have_url(re.compile("offset=10"))


def test_bad_rows_are_named_and_can_be_had_back(window: Open, tmp_path: Path) -> None:
    page = window().open("/datasets/new")
    page.set_input_files("#file", _file(tmp_path, *map(_row, range(8)), '{"instruction": 3', _row(9)))
    page.fill("#name", "bad-rows")
    page.uncheck("[name=publish]")
    page.check("[name=accept_bad_rows]")
    page.get_by_role("button", name="Import", exact=True).click()
    page.wait_for_url("**/datasets/bad-rows")
    table = page.locator("table.cards")
    expect(table).to_contain_text("9")
    expect(page.locator("dl.stats")).to_contain_text("Draft")
    with page.expect_download() as download:
        page.get_by_role("link", name="Download bad rows (JSONL)").click()
    assert '{\\"instruction\\": 3' in Path(download.value.path()).read_text()
    page.get_by_role("button", name="Publish bad-rows@1").click()
    expect(page.locator("dl.stats .badge")).to_have_text("Published")
    page.get_by_role("button", name="Delete the dataset").click()
    page.locator("#delete").get_by_role("button", name="Delete the dataset").click()
    page.wait_for_url("**/datasets")
    expect(page.locator("table")).not_to_contain_text("bad-rows")


def test_a_form_without_a_file_says_what_is_missing(window: Open) -> None:
    page = window().open("/datasets/new")
    page.get_by_role("button", name="Import", exact=True).click()
    expect(page.locator("#upload-problem")).to_contain_text("Choose a file first.")


def test_only_changed_settings_are_sent_and_shown_as_code(window: Open, colours: str) -> None:
    page = window().open(f"/runs/new?dataset={colours}")
    expect(page.locator("#check-badge")).to_have_text("Ready")
    page.fill("#name", "by-form")
    page.fill("#set-batch_size", "4")
    page.fill("#set-epochs", "9")
    page.locator("[data-setting=epochs] .reset").click()
    expect(page.locator("[data-setting=batch_size] .tag")).to_have_text("changed")
    expect(page.locator("[data-setting=epochs] .tag")).to_have_text("recommended")
    expect(page.locator("#check-badge")).to_have_text("Ready")
    shown = yaml.safe_load(page.inner_text("#code"))
    with page.expect_request("**/api/v1/runs") as sent:
        page.click("#start")
    page.wait_for_url("**/runs/run_*")
    body = json.loads(sent.value.post_data or "")
    assert body == {
        "name": "by-form",
        "method": "sft",
        "base_model": "tunery-starter",
        "data": {"train": [{"dataset": colours}]},
        "settings": {"batch_size": 4},
    }
    assert shown == {"schema_version": 1, **body}
    assert sent.value.headers["idempotency-key"]


def test_a_wrong_value_is_named_at_its_field(window: Open, colours: str) -> None:
    page = window(expected=("422",)).open(f"/runs/new?dataset={colours}")
    expect(page.locator("#check-badge")).to_have_text("Ready")
    page.fill("#set-learning_rate", "0.5")
    field = page.locator("[data-setting=learning_rate] .error")
    expect(field).to_contain_text("outside")
    expect(page.locator("#start")).to_be_disabled()
    page.check("#allow_out_of_range")
    expect(field).to_be_hidden()
    expect(page.locator("#start")).to_be_enabled()
    page.uncheck("#allow_out_of_range")
    page.fill("#set-learning_rate", "much")
    expect(field).to_contain_text("learning_rate can't be much: it must be a number")


def test_the_check_tells_what_would_happen_and_what_would_not(window: Open, colours: str) -> None:
    page = window().open(f"/runs/new?dataset={colours}")
    expect(page.locator("#check-badge")).to_have_text("Ready")
    check = page.locator("#check")
    for text in (
        "200 rows of colours@1, 3 times",
        "75, of 8 rows each",
        "none during training",
        "none: no held-out data chosen",
        "not automatic; you can publish after the run",
        "recommended for Supervised fine-tuning (lora)",
    ):
        expect(check).to_contain_text(text)
    page.select_option("#evaluate", colours)
    page.check("#publish")
    page.fill("#name", "told")
    expect(check).to_contain_text("200 held-out rows of colours@1")
    expect(check).to_contain_text("as a new model, told")


def test_all_wrong_values_are_named_at_once_each_at_its_field(window: Open, colours: str) -> None:
    page = window(expected=("422",)).open(f"/runs/new?dataset={colours}")
    expect(page.locator("#check-badge")).to_have_text("Ready")
    page.fill("#set-learning_rate", "0.5")
    page.fill("#set-epochs", "0")
    page.locator("summary", has_text="Schedule").click()
    page.fill("#set-weight_decay", "-1")
    for name, text in (
        ("learning_rate", "outside"),
        ("epochs", "at least 1"),
        ("weight_decay", "at least 0"),
    ):
        expect(page.locator(f"[data-setting={name}] .error")).to_contain_text(text)
    expect(page.locator("#check")).to_contain_text("3 things to correct")
    expect(page.locator("#run-form")).not_to_contain_text("`tunery")
    page.fill("#set-epochs", "2")
    expect(page.locator("[data-setting=epochs] .error")).to_be_hidden()
    expect(page.locator("#check")).to_contain_text("2 things to correct")


def test_full_training_hides_what_belongs_to_the_adapter(window: Open, colours: str) -> None:
    page = window().open(f"/runs/new?dataset={colours}")
    expect(page.locator("#check-badge")).to_have_text("Ready")
    page.locator("summary", has_text="Adapter").click()
    page.fill("#set-lora_rank", "4")
    expect(page.locator("#code")).to_contain_text("lora_rank: 4")
    page.check("[name=finetuning_type][value=full]")
    expect(page.locator("#set-lora_rank")).to_be_hidden()
    expect(page.locator("#code")).not_to_contain_text("lora_rank")
    expect(page.locator("#code")).to_contain_text("finetuning_type: full")
    expect(page.locator("#check-badge")).to_have_text("Ready")


def test_a_clone_starts_from_what_was_chosen(window: Open, client: Client, colours: str) -> None:
    run = client.runs.create(
        {
            "name": "first",
            "base_model": "tunery-starter",
            "data": colours,
            "settings": {"finetuning_type": "full", "max_steps": 3, "learning_rate": 0.0005},
        }
    )
    page = window().open(f"/runs/new?clone={run.id}")
    expect(page.locator("#check-badge")).to_have_text("Ready")
    spec = yaml.safe_load(page.inner_text("#code"))
    assert spec["settings"] == {"finetuning_type": "full", "max_steps": 3, "learning_rate": 0.0005}
    assert spec["data"]["train"] == [{"dataset": colours, "version": 1}]
    assert page.is_checked("[name=finetuning_type][value=full]")
    name = f"first #{run.number}"
    assert spec["clone_of"] == name
    expect(page.locator("#check")).to_contain_text(f"Nothing is changed from {name} yet.")


def test_a_clone_shows_what_is_changed_before_and_after_it_starts(
    window: Open, client: Client, colours: str
) -> None:
    settings = {"finetuning_type": "full", "max_steps": 3, "learning_rate": 0.0005}
    spec = {"name": "again", "base_model": "tunery-starter", "data": colours, "settings": settings}
    run = client.runs.create(spec)
    name = f"again #{run.number}"
    page = window().open(f"/runs/{run.id}")
    page.get_by_role("link", name="Clone with changes").click()
    expect(page.locator("#check-badge")).to_have_text("Ready")
    page.locator("[data-setting=learning_rate] input, input[data-setting=learning_rate]").first.fill("0.0004")
    page.fill("#priority", "5")
    expect(page.locator("#check")).to_contain_text(f"Changed from {name}")
    expect(page.locator("#changes")).to_contain_text("0.0005 → 0.0004")
    expect(page.locator("#changes")).to_contain_text("resources.priority0 → 5")
    page.click("#start")
    page.wait_for_url("**/runs/run_*")
    kept = page.locator("#clone-of")
    expect(kept).to_contain_text(f"Clone of{name}")
    expect(kept).to_contain_text("learning_rate 0.0005 → 0.0004")
    page.get_by_role("link", name="Settings", exact=True).click()
    row = page.locator("#changes tr", has_text="learning_rate")
    expect(row).to_contain_text("changed")
    expect(row.locator("td").nth(1)).to_have_text("0.0005")


def test_the_demo_is_two_clicks(window: Open) -> None:
    # Until the rows are there, the check is refused, and tried again.
    page = window(expected=("409", "404")).open("/datasets")
    page.evaluate(_DEMO)
    page.wait_for_url("**/runs/new?demo=1")
    expect(page.locator("#check-badge")).to_have_text("Ready")
    expect(page.locator("#code")).to_contain_text("dataset: support-messages-held-out")
    expect(page.locator("#start")).to_be_enabled()


def test_a_name_that_is_none_is_refused_in_words(window: Open) -> None:
    page = window(expected=("422",)).open("/models/base")
    page.get_by_role("button", name="Add a folder").first.click()
    page.fill("#path", "/nowhere/at/all")
    page.fill("#base-name", "no name!")
    page.get_by_role("button", name="Check and add").click()
    expect(page.locator("dialog[open]").get_by_role("alert")).to_contain_text("name:")
    page.fill("#base-name", "")
    page.get_by_role("button", name="Check and add").click()
    expect(page.locator("dialog[open]").get_by_role("alert")).to_contain_text("/nowhere/at/all")
