"""After a refused import: without bad rows, salvaged, as another format, other columns, fixed; nothing sent twice."""

import asyncio
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.patience import wait
from tests.served import Served, server
from tunery.core.errors import Problem
from tunery.schemas.dataset import DatasetVersion, RowFix
from tunery.sdk.client import AsyncClient, Client


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with server(tmp_path_factory.mktemp("imports")) as found:
        yield found


@pytest.fixture(scope="module")
def client(served: Served) -> Iterator[Client]:
    with Client(served.url, served.token) as found:
        yield found


def write(path: Path, *rows: object) -> Path:
    path.write_text("".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows))
    return path


def good(n: int) -> dict[str, str]:
    return {"instruction": f"Say {n}", "output": str(n)}


def refused(client: Client, path: Path, name: str, code: str, **options: Any) -> DatasetVersion:
    client.datasets.create(path, name=name, **options)
    with pytest.raises(Problem) as caught:
        client.datasets.wait(name)
    assert caught.value.code == code
    latest = client.datasets.get(name).latest
    assert latest is not None
    assert latest.state == "failed"
    assert latest.kept_until is not None
    path.unlink()
    return latest


def test_without_the_bad_rows(client: Client, tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", *map(good, range(9)), '{"instruction": 3', good(10))
    first = refused(client, path, "accepted", "rows_rejected")
    assert client.datasets.quarantine_rows("accepted", 1).rows[0].text == '{"instruction": 3'
    client.datasets.accept("accepted")
    version = client.datasets.wait("accepted")
    assert (version.version, version.state, version.rows) == (1, "published", 10)
    assert first.report is not None
    assert version.report is not None
    assert (version.report.rows_read, version.report.rows_rejected) == (first.report.rows_read, 1) == (11, 1)


def test_a_cut_off_list_is_salvaged(client: Client, tmp_path: Path) -> None:
    path = tmp_path / "cut.json"
    path.write_text(json.dumps([good(n) for n in range(40)], indent=1)[:-20])
    failed = refused(client, path, "salvaged", "json_broken")
    assert failed.error is not None
    assert failed.error["params"]["rows"] == 39
    client.datasets.import_again("salvaged", salvage=True, accept_bad_rows=True)
    version = client.datasets.wait("salvaged")
    assert version.report is not None
    assert (version.rows, version.report.rows_read, version.report.rows_rejected) == (39, 40, 1)


def test_format_and_columns_are_corrected_and_remembered(client: Client, tmp_path: Path) -> None:
    rows = [{"question": f"q{n}", "reply": f"a{n}"} for n in range(20)]
    failed = refused(client, write(tmp_path / "a.jsonl", *rows), "columns", "format_unknown")
    assert failed.error is not None
    assert failed.error["params"]["fields"] == ["question", "reply"]
    columns = {"instruction": "question", "output": "reply"}
    client.datasets.import_again("columns", columns=columns)
    version = client.datasets.wait("columns")
    assert (version.version, version.rows, version.format) == (1, 20, "alpaca")
    assert version.options is not None
    assert version.options.columns == columns
    next_file = write(tmp_path / "b.jsonl", *rows, {"question": "new", "reply": "more"})
    client.datasets.create(next_file, name="columns", as_before=True)
    version = client.datasets.wait("columns")
    assert (version.version, version.rows) == (2, 21)
    (row,) = client.datasets.rows("columns", 2, 20).rows
    assert row["messages"][0]["content"][0]["text"] == "new"
    assert version.kept_until is None
    with pytest.raises(Problem) as gone:
        client.datasets.import_again("columns")
    assert gone.value.code == "source_gone"


def test_mended_rows_make_it_whole(client: Client, tmp_path: Path) -> None:
    bad = ['{"instruction": 3', {"instruction": "x", "output": ""}, {"instruction": "y"}]
    path = write(tmp_path / "a.jsonl", *map(good, range(5)), *bad, *map(good, range(5)))
    refused(client, path, "fixed", "rows_rejected")
    rows = client.datasets.quarantine_rows("fixed", 1).rows
    assert [row.row for row in rows] == [6, 7, 8]
    assert client.datasets.quarantine_rows("fixed", 1, rule="empty_answer").total == 1
    first = RowFix(file=rows[0].file, row=6, text=json.dumps(good(6)))
    client.datasets.import_again("fixed", fixes=[first])
    with pytest.raises(Problem) as still:
        client.datasets.wait("fixed")
    assert still.value.params == {"rejected": 2, "read": 13}
    file = tmp_path / "quarantine.jsonl"
    fixed = [json.loads(line) for line in client.datasets.quarantine("fixed", 1).splitlines()]
    assert [row["row"] for row in fixed] == [7, 8]
    fixed[0]["text"] = json.dumps(good(7))
    write(file, *fixed)
    client.datasets.fix("fixed", file, accept_bad_rows=True)
    version = client.datasets.wait("fixed")
    assert version.report is not None
    assert (version.version, version.rows, version.report.rows_rejected) == (1, 12, 1)
    (row,) = client.datasets.rows("fixed", 1, 5, 1).rows
    assert row["messages"][1]["content"][0]["text"] == "6"
    # A version that is published stays as it is; the last row fixed makes the next one.
    (last,) = client.datasets.quarantine_rows("fixed", 1).rows
    client.datasets.import_again(
        "fixed", fixes=[RowFix(file=last.file, row=last.row, text=json.dumps(good(8)))]
    )
    version = client.datasets.wait("fixed")
    assert (version.version, version.rows, version.kept_until) == (2, 13, None)
    assert client.datasets.version("fixed", 1).rows == 12


def test_a_file_that_changed_on_the_way_is_refused(client: Client, served: Served, tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", *map(good, range(9)))
    begun = client.uploads.create("a.jsonl", path.stat().st_size, sha256="0" * 64)
    content = path.read_bytes()
    headers = {"Content-Type": "application/offset+octet-stream", "Upload-Offset": "0"}
    sent = client._sender._http.patch(f"/api/v1/uploads/{begun.id}", content=content, headers=headers)
    assert sent.status_code == 204
    answer = client._sender._http.post(f"/api/v1/uploads/{begun.id}/import", json={"name": "changed"})
    assert answer.status_code == 202
    with pytest.raises(Problem) as caught:
        client.datasets.wait("changed")
    assert caught.value.code == "checksum_differs"
    staged = answer.json()["latest"]
    assert client.datasets.get("changed").latest is not None
    assert client.datasets.version("changed", staged["version"]).kept_until is None


def test_deleting_a_dataset_takes_its_kept_file(client: Client, served: Served, tmp_path: Path) -> None:
    uploads = served.folder / "data" / "uploads"
    before = set(os.listdir(uploads))
    refused(client, write(tmp_path / "a.jsonl", "{", good(1)), "gone", "rows_rejected")
    client.datasets.import_again("gone", fixes=[RowFix(file="a.jsonl", row=1, text="[]")])
    with pytest.raises(Problem):
        client.datasets.wait("gone")
    # The worker tidies up when the end of an import is on record.
    wait("the file and its fixes to be kept alone", lambda: len(set(os.listdir(uploads)) - before) == 2)
    client.datasets.delete("gone")
    wait("them to go", lambda: not set(os.listdir(uploads)) - before)


def test_the_command_line_does_the_same(served: Served, tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", {"q": "1", "a": "2"}, {"q": "1"}, "{")
    done = served.tunery("data", "check", path, "--column", "instruction=q", "--column", "output=a", "--json")
    assert (done.returncode, json.loads(done.stdout)["rows_accepted"]) == (1, 1)
    options = ["--column", "instruction=q", "--column", "output=a"]
    done = served.tunery("data", "import", path, "--name", "cli", *options, "--json")
    assert json.loads(done.stdout)["error"]["code"] == "rows_rejected", done
    bad = tmp_path / "bad.jsonl"
    assert json.loads(served.tunery("data", "quarantine", "cli", "--out", bad, "--json").stdout)["rows"] == 2
    bad.write_text(bad.read_text().replace('"text":"{"', '"text":"{\\"q\\": 5, \\"a\\": \\"6\\"}"'))
    done = served.tunery("data", "fix", "cli", bad, "--json")
    assert json.loads(done.stdout)["error"]["params"]["rejected"] == 2
    bad.write_text(bad.read_text().replace('\\"q\\": 5', '\\"q\\": \\"5\\"'))
    done = served.tunery("data", "fix", "cli", bad, "--accept-bad-rows", "--json")
    assert json.loads(done.stdout)["rows"] == 2, done
    done = served.tunery(
        "data", "reimport", "cli", "--format", "prompt_completion", "--column", "prompt=q", "--json"
    )
    assert json.loads(done.stdout)["error"]["code"] == "no_rows", done
    assert served.tunery("data", "check", path, "--column", "instruction").returncode == 2
    assert "NAME=NAME" in served.tunery("data", "check", path, "--column", "instruction").stderr


def test_the_waiting_client_sends_files_too(served: Served, tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", *map(good, range(9)))

    async def bring() -> int:
        async with AsyncClient(served.url, served.token) as client:
            await client.datasets.create(path, name="awaited", checksum=True)
            return (await client.datasets.wait("awaited")).rows

    assert asyncio.run(bring()) == 9


EXACT = {
    "alpaca_en_demo.json": ("alpaca", 999),
    "dpo_en_demo.json": ("preference", 300),
    "kto_en_demo.json": ("kto", 300),
    "c4_demo.jsonl": ("corpus", 300),
}


@pytest.mark.parametrize("name", EXACT)
def test_real_files_by_client_and_command(
    client: Client, served: Served, real_rows: Callable[[str], Path], name: str
) -> None:
    format, count = EXACT[name]
    path = real_rows(name)
    dataset = name.partition(".")[0]
    client.datasets.create(path, name=dataset)
    version = client.datasets.wait(dataset)
    assert version.report is not None
    assert (version.format, version.rows, version.report.rows_rejected) == (format, count, 0)
    done = served.tunery("data", "import", path, "--name", dataset, "--json")
    again = json.loads(done.stdout)
    assert (again["version"], again["rows"], again["content_hash"]) == (2, count, version.content_hash)
    rows = [row for at in range(0, count, 500) for row in client.datasets.rows(dataset, 2, at, 500).rows]
    if format == "preference":
        assert sum(row["messages"][0]["role"] == "system" for row in rows) == 80
    if format == "kto":
        assert (
            [row["label"] for row in rows].count(True) == [row["label"] for row in rows].count(False) == 150
        )
