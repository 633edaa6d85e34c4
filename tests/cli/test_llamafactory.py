"""LLaMA-Factory's registry: a folder by the command line, a ZIP by the server."""

import json
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.served import Served, server
from tunery.core.errors import Problem
from tunery.data.llamafactory import plan
from tunery.sdk.client import Client

SHAREGPT_TAGS = {
    "role_tag": "role",
    "content_tag": "content",
    "user_tag": "user",
    "assistant_tag": "assistant",
}
REAL = {
    "alpaca_en_demo": {"file_name": "alpaca_en_demo.json"},
    "dpo_en_demo": {
        "file_name": "dpo_en_demo.json",
        "ranking": True,
        "formatting": "sharegpt",
        "columns": {"messages": "conversations", "chosen": "chosen", "rejected": "rejected"},
    },
    "kto_en_demo": {
        "file_name": "kto_en_demo.json",
        "formatting": "sharegpt",
        "columns": {"messages": "messages", "kto_tag": "label"},
        "tags": SHAREGPT_TAGS,
    },
    "c4_demo": {"file_name": "c4_demo.jsonl", "columns": {"prompt": "text"}},
}
ELSEWHERE = {
    "alpaca_en": {"hf_hub_url": "llamafactory/alpaca_en", "ms_hub_url": "llamafactory/alpaca_en"},
    "belle_multiturn": {"script_url": "belle_multiturn", "formatting": "sharegpt"},
    "mllm_demo": {
        "file_name": "mllm_demo.json",
        "formatting": "sharegpt",
        "columns": {"messages": "messages", "images": "images"},
        "tags": SHAREGPT_TAGS,
    },
    "gone": {"file_name": "gone.json"},
    "outside": {"file_name": "../../etc/passwd.txt"},
}
COUNTS = {"alpaca_en_demo": 999, "dpo_en_demo": 300, "kto_en_demo": 300, "c4_demo": 300}


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with server(tmp_path_factory.mktemp("registry")) as found:
        yield found


def check(found: dict[str, Any]) -> None:
    assert {end["dataset"]: end["rows"] for end in found["imported"]} == COUNTS
    reasons = {one["name"]: one["reason"] for one in found["skipped"]}
    assert reasons.keys() == ELSEWHERE.keys()
    assert "llamafactory/alpaca_en" in reasons["alpaca_en"]
    assert "script" in reasons["belle_multiturn"]
    assert "images" in reasons["mllm_demo"]
    assert "gone.json" in reasons["gone"]
    assert "outside" in reasons["outside"]


def test_a_folder_with_every_kind_of_entry(
    served: Served, tmp_path: Path, real_rows: Callable[[str], Path]
) -> None:
    made = tmp_path / "data"
    made.mkdir()
    (made / "dataset_info.json").write_text(json.dumps({**REAL, **ELSEWHERE}))
    (made / "mllm_demo.json").write_text("[]")
    for entry in REAL.values():
        file = str(entry["file_name"])
        (made / file).write_bytes(real_rows(file).read_bytes())
    done = served.tunery("data", "import-llamafactory", made, "--json")
    assert done.returncode == 1, done
    check(json.loads(done.stdout))
    with Client(served.url, served.token) as client:
        dpo = client.datasets.get("dpo_en_demo").latest
        assert dpo is not None
        assert (dpo.format, dpo.row_kind) == ("preference", "preference")
        kto = client.datasets.get("kto_en_demo").latest
        assert kto is not None
        assert (kto.format, kto.row_kind) == ("kto", "labelled")
        assert {version.format for version in client.datasets.versions("c4_demo")} == {"corpus"}
    with zipfile.ZipFile(tmp_path / "data.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for path in made.iterdir():
            archive.write(path, f"LLaMA-Factory/data/{path.name}")
        archive.writestr("LLaMA-Factory/README.md", "about")
    done = served.tunery("data", "import-llamafactory", tmp_path / "data.zip", "--json")
    check(json.loads(done.stdout))
    with Client(served.url, served.token) as client:
        for name, count in COUNTS.items():
            second, first = client.datasets.versions(name)
            assert (second.version, second.rows) == (2, count)
            assert second.content_hash == first.content_hash
        assert client.uploads.list().data == []
    assert list((served.folder / "data" / "uploads").iterdir()) == []
    # As one dataset such an archive makes no sense, and that is said with what to do instead.
    done = served.tunery("data", "check", tmp_path / "data.zip", "--json")
    assert done.returncode == 2
    assert json.loads(done.stdout)["error"]["code"] == "registry_in_archive"
    assert "tunery data import-llamafactory data.zip" in done.stderr
    done = served.tunery("data", "import-llamafactory", made, "--only", "c4_demo", "--json")
    assert done.returncode == 0
    assert [end["version"] for end in json.loads(done.stdout)["imported"]] == [3]
    done = served.tunery("data", "import-llamafactory", made, "--only", "nonesuch", "--json")
    assert json.loads(done.stdout)["error"]["code"] == "not_found"


def test_an_archive_without_a_registry_is_told(served: Served, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "data.zip", "w") as archive:
        archive.writestr("a.json", "[]")
    (tmp_path / "no.zip").write_text("no zip")
    for name in ("data.zip", "no.zip"):
        done = served.tunery("data", "import-llamafactory", tmp_path / name, "--json")
        assert json.loads(done.stdout)["error"]["code"] == "file_unreadable", done


@pytest.mark.parametrize(
    ("entry", "format", "columns"),
    [
        ({}, "alpaca", {"instruction": "instruction", "input": "input", "output": "output"}),
        ({"columns": {"prompt": "q", "response": "a"}}, "alpaca", {"instruction": "q", "output": "a"}),
        (
            {"columns": {"prompt": "q", "response": "a", "system": "s", "history": "h", "query": ""}},
            "alpaca",
            {"instruction": "q", "output": "a", "system": "s", "history": "h"},
        ),
        (
            {"ranking": True, "columns": {"prompt": "q", "chosen": "c", "rejected": "r"}},
            "preference",
            {"instruction": "q", "chosen": "c", "rejected": "r"},
        ),
        (
            {"columns": {"prompt": "q", "response": "a", "kto_tag": "k"}},
            "kto",
            {"instruction": "q", "output": "a", "label": "k"},
        ),
        ({"formatting": "sharegpt"}, "sharegpt", {"conversations": "conversations"}),
        (
            {"formatting": "openai", "columns": {"messages": "m", "tools": "t"}},
            "sharegpt",
            {"conversations": "m", "tools": "t"},
        ),
    ],
)
def test_what_an_entry_means(entry: dict[str, Any], format: str, columns: dict[str, str]) -> None:
    (found,), skipped = plan({"x": {"file_name": "x.json", **entry}}, [], lambda _: None)
    assert skipped == []
    assert (found.options.format, found.options.columns, found.options.only_named) == (format, columns, True)


@pytest.mark.parametrize(
    ("entry", "reason"),
    [
        ([], "isn't an object"),
        ({}, "names no file"),
        ({"file_name": "x.arrow"}, "is none of"),
        ({"file_name": "/etc/x.json"}, "outside"),
        ({"file_name": "x.json", "formatting": "own"}, "isn't known"),
        ({"file_name": "x.json", "ranking": True}, "chosen and rejected"),
        ({"file_name": "x.json", "columns": {"prompt": "a", "query": "b"}}, "response"),
        ({"file_name": "x.json", "columns": ["a"]}, "aren't names"),
    ],
)
def test_what_can_not_be_read_is_skipped_with_the_reason(entry: object, reason: str) -> None:
    entries, (skipped,) = plan({"x": entry}, [], lambda _: None)
    assert entries == []
    assert reason in skipped.reason
    with pytest.raises(Problem):
        plan({"x": entry}, ["y"], lambda _: None)
