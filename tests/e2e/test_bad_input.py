"""Whatever people get wrong: one sentence with the cure, the right code, nothing half-made left behind."""

import json
import os
import socket
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from sqlalchemy import create_engine, text

from tests.jobs.house import alpaca, bare_model
from tests.patience import PATIENCE, wait
from tests.served import Done, Served, server, tunery
from tunery.core.errors import Problem

pytestmark = pytest.mark.e2e
TABLES = (
    "dataset",
    "dataset_version",
    "task",
    "job",
    "run",
    "attempt",
    "base_model",
    "model",
    "model_version",
)
Spec = dict[str, Any]


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A server with datasets to misuse, and folders that are no models."""
    folder = tmp_path_factory.mktemp("adversary")
    bare = bare_model(folder)
    for name in ("hollow", "pickled", "silent"):
        (folder / name).mkdir()
        for part in ("config.json", "tokenizer.json"):
            (folder / name / part).write_bytes((bare / part).read_bytes())
    (folder / "pickled/pytorch_model.bin").write_bytes(b"\x80\x04")
    (folder / "silent/model.safetensors").write_bytes((bare / "model.safetensors").read_bytes())
    alpaca(folder / "rows.jsonl", 120)
    alpaca(folder / "few.jsonl", 7)
    (folder / "words.txt").write_text("Words.\n\n" * 300)
    with server(folder) as running:
        for name, file in (("rows", "rows.jsonl"), ("few", "few.jsonl"), ("words", "words.txt")):
            assert running.tunery("data", "import", file, "--name", name).returncode == 0
        wait("the imports to be tidied up", lambda: uploads(running) == [])
        yield running


def inside(served: Served) -> tuple[dict[str, int], list[str]]:
    """What the data folder holds: rows of each table, and files."""
    data = served.folder / "data"
    with sqlite3.connect(data / "tunery.db") as database:
        counts = {name: database.execute(f"SELECT count(*) FROM {name}").fetchone()[0] for name in TABLES}
    database.close()
    files = [str(path.relative_to(data)) for path in data.rglob("*") if "logs" not in path.parts]
    return counts, sorted(name for name in files if not name.startswith("tunery.db"))


def uploads(served: Served) -> list[str]:
    return [name for name in inside(served)[1] if name.startswith("uploads/")]


def call(served: Served, method: str, path: str, token: str | None = None, **more: Any) -> httpx.Response:
    key = {"Authorization": f"Bearer {token or served.token}"}
    return httpx.request(method, served.url + path, headers=key, timeout=PATIENCE, **more)


def said_well(done: Done, code: str, exit_code: int = 1) -> dict[str, Any]:
    """The problem that a command with --json ended with; one sentence, one cure, no trace."""
    assert done.returncode == exit_code, done
    problem = json.loads(done.stdout)["error"]
    assert problem["code"] == code, problem
    assert done.stderr.splitlines() == [
        line for line in done.stderr.splitlines() if "Traceback" not in line and "File " not in line
    ]
    assert done.stderr.count("Error: ") == 1
    assert problem["message"] in done.stderr
    assert Problem.from_dict(problem).cli_cure in done.stderr
    return problem


# -- runs that can't be

GOOD: Spec = {"name": "bad", "base_model": "BARE", "data": "rows"}
SPECS: dict[str, tuple[Spec, int, str]] = {
    "a missing field": ({"name": "bad", "data": "rows"}, 422, "invalid_request"),
    "a field there isn't": ({**GOOD, "colour": "red"}, 422, "invalid_request"),
    "an unknown base model": ({**GOOD, "base_model": "nobody"}, 422, "unknown_base_model"),
    "no such folder": ({**GOOD, "base_model": "/no/such/folder"}, 422, "unknown_base_model"),
    "a model known but not here": ({**GOOD, "base_model": "Llama-3.1-8B"}, 422, "model_weights_absent"),
    "a folder without weights": ({**GOOD, "base_model": "HOLLOW"}, 422, "model_folder_incomplete"),
    "a folder with pickles": ({**GOOD, "base_model": "PICKLED"}, 422, "pickled_weights"),
    "a base that can't chat": ({**GOOD, "base_model": "SILENT"}, 422, "no_chat_template"),
    "a setting out of range": (
        {**GOOD, "settings": {"learning_rate": 50.0}},
        422,
        "setting_out_of_range",
    ),
    "a setting of another type": ({**GOOD, "settings": {"epochs": "many"}}, 422, "setting_invalid"),
    "a setting there isn't": ({**GOOD, "settings": {"learning_rat": 1e-4}}, 422, "unknown_setting"),
    "a setting without effect": (
        {**GOOD, "settings": {"finetuning_type": "full", "lora_rank": 4}},
        422,
        "setting_without_effect",
    ),
    "an unknown method": ({**GOOD, "method": "magic"}, 422, "unknown_extension"),
    "an unknown metric": (
        {**GOOD, "evaluate": {"dataset": "few", "metrics": ["beauty"]}},
        422,
        "unknown_extension",
    ),
    "an unknown dataset": ({**GOOD, "data": "nothing"}, 404, "not_found"),
    "an unknown version": ({**GOOD, "data": {"train": [{"dataset": "rows", "version": 9}]}}, 404, "not_found"),
    "an unknown held-out dataset": ({**GOOD, "evaluate": {"dataset": "nothing"}}, 404, "not_found"),
    "a path on the server": ({**GOOD, "data": {"train": [{"path": "rows.jsonl"}]}}, 422, "spec_invalid"),
    "too few rows": ({**GOOD, "data": "few"}, 422, "too_few_rows"),
    "text for a method that wants talk": ({**GOOD, "data": "words"}, 422, "format_not_for_method"),
    "talk for a method that wants text": ({**GOOD, "method": "pretrain"}, 422, "format_not_for_method"),
}  # fmt: skip


def spec_of(served: Served, case: str) -> tuple[Spec, int, str]:
    spec, status, code = SPECS[case]
    if "base_model" in spec:
        base = spec["base_model"]
        spec = {**spec, "base_model": str(served.folder / base.lower()) if base.isupper() else base}
    return spec, status, code


@pytest.mark.parametrize("case", SPECS)
def test_a_run_that_cannot_be_is_refused_whole(served: Served, case: str) -> None:
    spec, status, code = spec_of(served, case)
    before = inside(served)
    for path in ("/api/v1/runs", "/api/v1/runs/resolve"):
        answer = call(served, "POST", path, json=spec)
        assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text
        assert answer.json()["cure"]
        assert "Traceback" not in answer.text
    (served.folder / "bad.yaml").write_text(yaml.safe_dump(spec))
    # A document that isn't a run's is refused before it is sent.
    by_cli = "spec_invalid" if code == "invalid_request" else code
    said_well(served.tunery("runs", "create", "bad.yaml", "--json"), by_cli)
    said_well(served.tunery("train", "bad.yaml", "--server", "--json"), by_cli)
    assert inside(served) == before


@pytest.mark.parametrize(
    "content", ["a: [", "- one\n- two", "", "just words", "a: !!python/object:os.system {}"]
)
def test_a_file_that_is_no_specification(served: Served, content: str) -> None:
    (served.folder / "bad.yaml").write_text(content)
    problem = said_well(served.tunery("runs", "create", "bad.yaml", "--json"), "spec_invalid")
    assert "bad.yaml" in problem["message"]


def test_json_that_breaks_off_in_a_request(served: Served) -> None:
    before = inside(served)
    for path in ("/api/v1/runs", "/api/v1/base-models", "/api/v1/models", "/api/v1/tokens"):
        answer = call(served, "POST", path, content=b'{"base_model": "x", ')
        assert answer.status_code == 422, answer.text
    assert inside(served) == before


# -- files that are no data

ROW = b'{"instruction": "a", "output": "b"}\n'
FILES: dict[str, tuple[str, bytes, str]] = {
    "broken JSON": ("cut.json", b'[{"instruction": "a", "output": "b"}, {"instr', "json_broken"),
    "an empty file": ("empty.jsonl", b"", "no_rows"),
    "an empty list": ("none.json", b"[]", "no_rows"),
    "a row without an answer": ("half.jsonl", ROW + b'{"instruction": "a"}\n', "rows_rejected"),
    "a huge row": ("huge.jsonl", ROW.replace(b"b", b"x" * (65 << 20)) + ROW, "rows_rejected"),
    "fields of nothing known": ("odd.jsonl", b'{"colour": "red"}\n' * 3, "format_unknown"),
    "UTF-16": ("wide.json", '[{"instruction": "a"}]'.encode("utf-16"), "file_unreadable"),
    "a ZIP": ("rows.zip", b"PK\x03\x04rest", "file_unreadable"),
    "noise": ("noise.jsonl", bytes(range(1, 256)) * 40, "format_unknown"),
}  # fmt: skip


@pytest.mark.parametrize("case", FILES)
def test_a_file_that_is_no_data_leaves_its_reason_and_nothing_else(served: Served, case: str) -> None:
    filename, content, code = FILES[case]
    (served.folder / filename).write_bytes(content)
    counts, _ = inside(served)
    said_well(served.tunery("data", "import", filename, "--name", filename, "--json"), code)
    # The worker tidies up when the end is on record.
    kept = code in ("rows_rejected", "json_broken", "format_unknown", "no_rows")
    wait("only what is kept to be there", lambda: len(uploads(served)) == kept)
    after, files = inside(served)
    assert [name for name in files if name.startswith("blobs/incoming/")] == []
    assert after["dataset_version"] == counts["dataset_version"] + 1
    version = call(served, "GET", f"/api/v1/datasets/{filename}").json()["latest"]
    assert (version["state"], version["rows"], version["error"]["code"]) == ("failed", 0, code)
    page = visit(served, "GET", f"/datasets/{filename}")
    assert page.status_code == 200
    assert "Traceback" not in page.text
    (served.folder / filename).unlink()
    # The name is not burnt: good rows make its next version.
    assert served.tunery("data", "import", "few.jsonl", "--name", filename).returncode == 0
    assert call(served, "GET", f"/api/v1/datasets/{filename}").json()["latest"]["version"] == 2
    wait("what was kept to go", lambda: uploads(served) == [])


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("nowhere.jsonl", "--name", "x"), "file_missing"),
        ((".", "--name", "x"), "file_missing"),
        (("rows.jsonl", "--name", "a/b"), "invalid_request"),
        (("rows.jsonl", "--name", "x" * 500), "invalid_request"),
        (("rows.jsonl", "--name", "x", "--format", "parquet"), "unknown_extension"),
    ],
)
def test_an_import_that_cannot_begin(served: Served, arguments: tuple[str, ...], code: str) -> None:
    before = inside(served)
    said_well(served.tunery("data", "import", *arguments, "--json"), code)
    assert inside(served) == before


# -- models, tokens, what isn't there


@pytest.mark.parametrize(
    ("folder", "code"),
    [
        ("hollow", "model_folder_incomplete"),
        ("pickled", "pickled_weights"),
        ("nowhere", "unknown_base_model"),
        ("rows.jsonl", "unknown_base_model"),
    ],
)
def test_a_folder_that_is_no_model(served: Served, folder: str, code: str) -> None:
    path = str(served.folder / folder)
    before = inside(served)
    problem = said_well(served.tunery("models", "add", folder, "--json"), code)
    answer = call(served, "POST", "/api/v1/base-models", json={"path": path})
    assert (answer.status_code, answer.json()["code"]) == (422, code)
    form = visit(served, "POST", "/models/base", data={"path": path}, headers={"HX-Request": "true"})
    assert form.status_code == 422
    toast = json.loads(form.headers["HX-Trigger"])["tunery:toast"]
    assert (toast["text"], toast["more"]) == (problem["message"], problem["cure"])
    assert inside(served) == before


def test_a_wrong_token(served: Served) -> None:
    before = inside(served)
    wrong = {"TUNERY_URL": served.url, "TUNERY_TOKEN": "tnr_wrong"}
    for command in (("runs", "list"), ("data", "import", "rows.jsonl", "--name", "x"), ("models", "list")):
        said_well(tunery(served.folder, *command, "--json", **wrong), "not_authenticated")
    answer = call(served, "GET", "/api/v1/runs", token="tnr_wrong")
    assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer")
    chat = call(served, "GET", "/v1/models", token="tnr_wrong")
    assert (chat.status_code, chat.json()["error"]["code"]) == (401, "invalid_api_key")
    form = httpx.post(f"{served.url}/login", data={"token": "tnr_wrong"})
    assert form.status_code == 401
    assert "This token is unknown" in form.text
    assert "tnr_wrong" not in form.text
    assert inside(served) == before


@pytest.mark.parametrize(
    ("command", "path"),
    [
        (("data", "show", "nothing"), "/datasets/nothing"),
        (("runs", "show", "nothing"), "/runs/nothing"),
        (("models", "show", "nothing"), "/models/nothing"),
        (("runs", "cancel", "nothing"), None),
        (("models", "publish", "nothing"), None),
    ],
)
def test_what_is_not_there(served: Served, command: tuple[str, ...], path: str | None) -> None:
    problem = said_well(served.tunery(*command, "--json"), "not_found")
    if path is not None:
        page = visit(served, "GET", path)
        assert page.status_code == 404
        assert "“nothing”" in page.text
        assert problem["message"] in page.text


def test_wrong_usage_is_json_too(served: Served) -> None:
    done = served.tunery("data", "import", "rows.jsonl", "--json")
    assert done.returncode == 2
    assert json.loads(done.stdout)["error"]["message"] == "Missing option '--name'."
    assert "Usage: " in done.stderr


def visit(served: Served, method: str, path: str, **more: Any) -> httpx.Response:
    """As a signed-in browser without scripts, of which the cookie is all."""
    with httpx.Client(base_url=served.url, headers={"Origin": served.url}) as browser:
        assert browser.post("/login", data={"token": served.token}).status_code == 303
        return browser.request(method, path, **more)


# -- servers that can't start


def start(folder: Path, *more: str, **environment: str) -> Done:
    return tunery(folder, "up", "--port", "0", "--json", *more, **environment)


def test_a_port_that_is_taken(tmp_path: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = str(other.getsockname()[1])
        problem = said_well(start(tmp_path, "--port", port), "port_taken")
    assert port in problem["message"]
    assert os.listdir(tmp_path) == []


def test_a_layout_of_a_newer_tunery(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data/VERSION").write_text("99\n")
    said_well(start(tmp_path), "data_folder_newer")
    assert (tmp_path / "data/VERSION").read_text() == "99\n"
    assert not (tmp_path / "data/tunery.db").exists()


def test_a_database_of_a_newer_tunery_is_left_as_it_is(tmp_path: Path) -> None:
    with server(tmp_path):
        pass
    place = tmp_path / "data/tunery.db"
    newer = create_engine(f"sqlite:///{place}")
    with newer.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999_newer'"))
    newer.dispose()
    before = place.read_bytes()
    problem = said_well(start(tmp_path), "data_folder_newer")
    assert "9999_newer" in problem["message"]
    assert place.read_bytes() == before


@pytest.mark.parametrize(
    ("name", "value", "code"),
    [
        ("TUNERY_PORT", "many", "server_setting_invalid"),
        ("TUNERY_MINIMUM_ROWS", "0", "server_setting_invalid"),
        ("TUNERY_ALLOWED_HOSTS", "tunery.example", "server_setting_invalid"),
        ("TUNERY_DATABASE_URL", "no url", "server_setting_invalid"),
        ("TUNERY_DATA", "/proc/tunery", "data_folder_unusable"),
        ("TUNERY_HOST", "192.0.2.1", "address_unusable"),
    ],
)
def test_a_setting_that_cannot_be(tmp_path: Path, name: str, value: str, code: str) -> None:
    arguments = ("up", "--json") if name == "TUNERY_PORT" else ("up", "--port", "0", "--json")
    problem = said_well(tunery(tmp_path, *arguments, **{name: value}), code)
    if code == "server_setting_invalid":
        assert name in problem["message"]


def test_a_database_that_is_none(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data/tunery.db").write_text("These are not the rows you are looking for. " * 10)
    problem = said_well(start(tmp_path), "database_damaged")
    assert "file is not a database" in problem["message"]
