"""`tunery up` and the commands that talk to it: one server, used as its owner uses it."""

import json
import os
import stat
from pathlib import Path
from typing import Any

import pytest

from tests.served import Served, tunery
from tunery.sdk.client import Client


def done(served: Served, *arguments: str | Path) -> Any:
    """The JSON answer of a command that succeeds."""
    finished = served.tunery(*arguments, "--json")
    assert finished.returncode == 0, finished.stderr
    return json.loads(finished.stdout)


@pytest.fixture(scope="module")
def imported(served: Served) -> str:
    assert done(served, "data", "import", "rows.jsonl", "--name", "rows")["rows"] == 120
    (served.folder / "there.yaml").write_text(
        f"name: counting\nbase_model: {served.folder}/bare\ndata: rows\nsettings: {{max_steps: 12}}\n"
    )
    return "rows"


def test_first_start_leaves_what_the_client_needs(served: Served) -> None:
    config = served.folder / "client.json"
    assert stat.S_IMODE(config.stat().st_mode) == 0o600
    kept = json.loads(config.read_text())
    assert (kept["url"], kept["token"]) == (served.url, served.token)
    findings = {finding["what"]: finding["verdict"] for finding in done(served, "doctor")}
    assert (findings["Server"], findings["Token"], findings["Database"]) == ("good", "good", "good")


def test_port_and_folder_in_use(served: Served, tmp_path: Path) -> None:
    port = served.url.rpartition(":")[2]
    second = tunery(tmp_path, "up", "--port", port)
    assert second.returncode == 1
    assert f"Port {port} on 127.0.0.1 is in use" in second.stderr
    assert "--port" in second.stderr
    assert os.listdir(tmp_path) == []
    same = tunery(served.folder, "up", "--port", "0")
    assert same.returncode == 1
    assert "Another Tunery server is using" in same.stderr


def test_data(served: Served, imported: str) -> None:
    assert imported in [one["name"] for one in done(served, "data", "list")["data"]]
    shown = done(served, "data", "show", imported, "--rows", "2")
    assert len(shown["rows"]["rows"]) == 2
    spoken = served.tunery("data", "show", imported)
    assert "assistant: 0!" in spoken.stdout
    broken = served.folder / "mixed.jsonl"
    broken.write_text((served.folder / "rows.jsonl").read_text() + '{"instruction": "unanswered"}\n')
    refused = served.tunery("data", "import", "mixed.jsonl", "--name", "mixed")
    assert refused.returncode == 1
    assert "1 of 121 rows can't be used" in refused.stderr
    accepted = done(
        served, "data", "import", "mixed.jsonl", "--name", "mixed", "--accept-bad-rows", "--draft"
    )
    assert (accepted["rows"], accepted["state"]) == (120, "draft")


def test_run_from_yaml_to_published_model(served: Served, imported: str) -> None:
    resolved = done(served, "runs", "create", "there.yaml", "--dry-run")
    assert resolved["origins"]["max_steps"] == "user"
    run = done(served, "runs", "create", "there.yaml", "--follow")
    assert (run["state"], run["progress"]["step"]) == ("succeeded", 12)
    assert run["id"] in [one["id"] for one in done(served, "runs", "list", "--name", "counting")["data"]]
    assert "counting #1  succeeded  step 12 of 12" in served.tunery("runs", "list").stdout
    assert done(served, "runs", "show", "counting #1")["id"] == run["id"]
    told = served.tunery("runs", "create", "there.yaml", "--dry-run").stdout
    assert "Trains on 120 rows of rows@1 in 12 steps" in told
    assert "The model isn't published automatically" in told
    assert "max_steps" in served.tunery("runs", "show", run["id"]).stdout
    assert served.tunery("runs", "logs", run["id"]).returncode == 0
    watched = served.tunery("runs", "watch", run["id"])
    assert "succeeded at step 12" in watched.stdout
    finished = served.tunery("runs", "stop", run["id"])
    assert finished.returncode == 1
    assert "is succeeded" in finished.stderr


def test_all_wrong_settings_are_told_at_once(served: Served, imported: str) -> None:
    wrong = {"epochs": 0, "learning_rate": 0.5, "lorra": 4}
    (served.folder / "wrong.yaml").write_text(
        f"base_model: {served.folder}/bare\ndata: rows\nsettings: {json.dumps(wrong)}\n"
    )
    told = served.tunery("runs", "create", "wrong.yaml", "--dry-run")
    assert told.returncode == 1
    assert told.stderr.count("Error: ") == 3
    assert "epochs can't be 0: it must be a whole number of at least 1." in told.stderr
    assert "`tunery methods show sft`" in told.stderr
    machine = served.tunery("runs", "create", "wrong.yaml", "--dry-run", "--json")
    assert [one["where"]["setting"] for one in json.loads(machine.stdout)["error"]["errors"]] == [
        "lorra",
        "epochs",
        "learning_rate",
    ]


def test_train_on_the_server(served: Served, imported: str) -> None:
    run = done(served, "train", "there.yaml", "--server", "--steps", "3", "--seed", "5")
    assert run["progress"]["step"] == 3
    assert run["resolved"]["spec"]["settings"]["seed"] == 5
    wrong = served.tunery("train", "there.yaml", "--server", "--out", "x")
    assert wrong.returncode == 2


def test_steering(served: Served, imported: str) -> None:
    (served.folder / "long.yaml").write_text(
        f"base_model: {served.folder}/bare\ndata: rows\nsettings: {{max_steps: 100000}}\n"
    )
    run = done(served, "runs", "create", "long.yaml")
    assert done(served, "runs", "cancel", run["id"])["id"] == run["id"]
    assert done(served, "runs", "watch", run["id"])["state"] == "cancelled"


def test_a_run_for_idle_time(served: Served, imported: str) -> None:
    run = done(served, "runs", "create", "there.yaml", "--idle-time", "--priority", "2")
    assert (run["idle_time"], run["priority"]) == (True, 2)
    assert done(served, "runs", "watch", run["id"])["state"] == "succeeded"
    assert "Priority 2, only in idle time." in served.tunery("runs", "show", run["id"]).stdout


def test_models_and_tokens(served: Served) -> None:
    assert done(served, "models", "add", "bare", "--name", "own")["name"] == "own"
    assert "own" in [one["name"] for one in done(served, "models", "list", "--base")["data"]]
    assert done(served, "models", "list")["data"] is not None
    hollow = served.folder / "hollow"
    hollow.mkdir()
    refused = served.tunery("models", "add", "hollow")
    assert refused.returncode == 1
    assert "hollow is not a usable model" in refused.stderr
    made = done(served, "token", "new", "second")
    assert made["id"] in [one["id"] for one in done(served, "token", "list")]
    assert done(served, "token", "revoke", made["id"])["revoked"] is True


def test_lost_token_is_replaced_on_the_machine(served: Served, tmp_path: Path) -> None:
    made = tunery(tmp_path, "token", "new", "found", "--data", served.folder / "data", "--json")
    assert made.returncode == 0, made.stderr
    token = json.loads(made.stdout)["token"]
    used = tunery(tmp_path, "runs", "list", "--json", TUNERY_URL=served.url, TUNERY_TOKEN=token)
    assert used.returncode == 0
    nowhere = tunery(tmp_path, "token", "new", "x", "--data", "nowhere")
    assert nowhere.returncode == 1
    assert "no server has been started with it yet" in nowhere.stderr


def test_chat_with_unknown_model(served: Served) -> None:
    asked = served.tunery("chat", "nowhere", "--message", "Hello")
    assert asked.returncode == 1
    assert "nowhere" in asked.stderr


def test_a_clone_tells_what_it_changes(served: Served, imported: str) -> None:
    run = done(served, "runs", "create", "there.yaml", "--follow")
    name = f"counting #{run['number']}"
    (served.folder / "more.yaml").write_text("evaluate: {max_rows: 3}\nresources: {priority: 2}\n")
    change = ("clone", name, "more.yaml", "--set", "max_steps=3", "--set", "learning_rate=0.0002")
    planned = done(served, "runs", *change, "--dry-run")["clone"]
    rate = run["resolved"]["spec"]["settings"]["learning_rate"]
    assert planned["changes"] == [
        {"name": "settings.learning_rate", "before": rate, "after": 0.0002, "origin": "user"},
        {"name": "settings.max_steps", "before": 12, "after": 3, "origin": "user"},
        {"name": "evaluate.max_rows", "before": 1000, "after": 3, "origin": None},
        {"name": "resources.priority", "before": 0, "after": 2, "origin": None},
    ]
    assert "  max_steps: 12 → 3\n" in served.tunery("runs", *change, "--dry-run").stdout
    made = done(served, "runs", *change)
    assert made["resolved"]["clone"] == planned == {**planned, "run": run["id"], "name": name}
    shown = served.tunery("runs", "show", made["id"]).stdout
    assert f"Clone of {name}:\n" in shown
    assert "  learning_rate: " in shown

    with Client(served.url, served.token) as client:
        again = client.runs.clone(made["id"], {"settings": {"learning_rate": None}, "name": "other"})
        kept = again.resolved.clone
        assert kept is not None
        assert (kept.run, kept.name) == (made["id"], f"counting #{made['number']}")
        assert [(one.name, one.after) for one in kept.changes] == [
            ("settings.learning_rate", rate),
            ("name", "other"),
        ]
        assert client.runs.spec(again.id).clone_of is None, "a copy of the clone differs from the clone"
        same = client.runs.resolve(client.runs.cloned("other")).clone
        assert same is not None
        assert same.changes == []
    missing = served.tunery("runs", "clone", "nobody", "--json")
    assert json.loads(missing.stdout)["error"]["code"] == "not_found"
    assert served.tunery("runs", "clone", name, "--set", "epochs").returncode == 2
    (served.folder / "orphan.yaml").write_text(
        "clone_of: nobody\n" + (served.folder / "there.yaml").read_text()
    )
    orphan = served.tunery("runs", "create", "orphan.yaml", "--json")
    assert json.loads(orphan.stdout)["error"]["where"]["field"] == "clone_of"
