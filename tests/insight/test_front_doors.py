"""The same by REST, SDK and command line: statistics, search, the model's side, differences, deletion, garbage."""

import json
import os
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.patience import PATIENCE
from tests.served import Served, server
from tunery.core.errors import Problem
from tunery.sdk.client import Client


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with server(tmp_path_factory.mktemp("insight")) as found:
        yield found


@pytest.fixture(scope="module")
def client(served: Served) -> Iterator[Client]:
    with Client(served.url, served.token) as found:
        yield found


def rows_of(count: int, changed: int | None = None) -> list[dict[str, Any]]:
    answers = ["Something else." if n == changed else f"It is {n % 50}." for n in range(count)]
    return [{"instruction": f"Say {n % 50}", "input": "", "output": one} for n, one in enumerate(answers)]


@pytest.fixture(scope="module")
def name(served: Served, client: Client) -> str:
    """Two versions: 60 rows, ten of which repeat others; one is changed, two are gone."""
    for rows in (rows_of(60), rows_of(58, changed=20)):
        path = served.folder / "rows.json"
        path.write_text(json.dumps(rows))
        client.datasets.create(path, name="numbers")
        client.datasets.wait("numbers", timeout=PATIENCE)
    return "numbers"


def done(served: Served, *arguments: str) -> Any:
    finished = served.tunery("data", *arguments, "--json")
    assert finished.returncode == 0, finished.stderr
    return json.loads(finished.stdout)


def get(served: Served, path: str, **query: Any) -> httpx.Response:
    headers = {"Authorization": f"Bearer {served.token}"}
    return httpx.get(f"{served.url}/api/v1/datasets/{path}", params=query, headers=headers)


def test_what_is_not_known_yet_is_refused_with_the_cure(served: Served, name: str) -> None:
    refused = get(served, f"{name}/versions/1/statistics")
    assert (refused.status_code, refused.json()["code"]) == (409, "not_computed")
    assert get(served, f"{name}/versions/1/search", having="duplicates").json()["code"] == "not_computed"
    assert get(served, f"{name}/comparisons/1/2").json()["code"] == "not_compared"
    told = served.tunery("data", "rows", name, "--language", "en")
    assert told.returncode == 1
    assert f"tunery data statistics {name}" in told.stderr


def test_statistics(served: Served, client: Client, name: str) -> None:
    got = client.datasets.statistics(name, 1, base_model="tunery-starter", length=20)
    assert got.found is not None
    assert (got.state, got.found.rows, got.found.turns, got.found.duplicates) == ("done", 60, 120, 10)
    assert got.found.tokens is not None
    assert got.cut is not None
    assert got.cut.rows == sum(
        row.tokens > 20 for row in client.datasets.search(name, 1, limit=200).rows if row.tokens
    )
    again = client.datasets.statistics(name, 1, base_model="tunery-starter")
    assert (again.task, again.computed) == (got.task, got.computed), "computed once"
    assert get(served, f"{name}/versions/1/statistics").json()["found"] == got.found.model_dump(mode="json")
    told = done(
        served, "statistics", name, "--version", "1", "--base-model", "tunery-starter", "--length", "20"
    )
    assert told["found"] == got.found.model_dump(mode="json")
    assert told["cut"]["rows"] == got.cut.rows
    spoken = served.tunery("data", "statistics", name, "--version", "1", "--base-model", "tunery-starter")
    assert "duplicates" in spoken.stdout
    with pytest.raises(Problem) as refused:
        client.datasets.statistics(name, 1, base_model="nobody")
    assert refused.value.code == "unknown_base_model"


def test_equal_rows_share_their_statistics(served: Served, client: Client, name: str) -> None:
    first = client.datasets.statistics(name, 1, base_model="tunery-starter")
    path = served.folder / "same.json"
    path.write_text(json.dumps(rows_of(60)))
    client.datasets.create(path, name="same")
    client.datasets.wait("same", timeout=PATIENCE)
    shared = client.datasets.statistics("same", 1, base_model="tunery-starter")
    assert (shared.task, shared.dataset) == (first.task, "same")


def test_search(served: Served, client: Client, name: str) -> None:
    client.datasets.statistics(name, 1)
    found = client.datasets.search(name, 1, "it is 7.", limit=1)
    assert [found.total, found.complete, found.rows[0].number] == [2, True, 8]
    repeats = client.datasets.search(name, 1, having="duplicates", offset=5, limit=3)
    assert repeats.total == 10
    assert [(row.number, row.repeats) for row in repeats.rows] == [(56, 6), (57, 7), (58, 8)]
    told = done(served, "rows", name, "--version", "1", "--text", "IT IS 7.", "--role", "assistant")
    assert [row["number"] for row in told["rows"]] == [8, 58]
    assert get(served, f"{name}/versions/1/search", role="tool").json()["total"] == 0
    assert get(served, f"{name}/versions/1/search", role="nobody").status_code == 422
    assert (
        "58  assistant: It is 7."
        in served.tunery("data", "rows", name, "--version", "1", "--text", "is 7.").stdout
    )


def test_what_the_model_sees(served: Served, client: Client, name: str) -> None:
    seen = client.datasets.seen(name, 1, base_model="tunery-starter", max_sequence_length=16, limit=2)
    assert (seen.method, seen.max_sequence_length, seen.total) == ("sft", 16, 60)
    told = done(
        served,
        "seen",
        name,
        "--version",
        "1",
        "--base-model",
        "tunery-starter",
        "--max-sequence-length",
        "16",
    )
    assert told["rows"][0] == seen.rows[0].model_dump(mode="json")
    spoken = served.tunery("data", "seen", name, "--version", "1", "--base-model", "tunery-starter")
    assert "⟦It is 0.<|end|>⟧" in spoken.stdout
    with pytest.raises(Problem) as refused:
        client.datasets.seen(name, 1, base_model="tunery-starter", method="pretrain")
    assert refused.value.code == "format_not_for_method"


def test_comparison(served: Served, client: Client, name: str) -> None:
    got = client.datasets.compare(name, 1, 2)
    assert got.counts is not None
    assert got.counts.model_dump() == {"changed": 1, "added": 0, "removed": 2, "unchanged": 57}
    (change,) = client.datasets.changes(name, 1, 2).changes
    assert (change.old, change.new) == (21, 21)
    assert change.new_row is not None
    assert "Something else." in json.dumps(change.new_row)
    told = done(served, "compare", name, "1", "2", "--kind", "removed")
    assert told["comparison"]["counts"]["removed"] == len(told["changes"]["changes"]) == 2
    assert "+\n21  user: Say 20" in served.tunery("data", "compare", name, "1", "2").stdout


def test_a_deleted_version_leaves_its_hash_and_frees_its_bytes(served: Served, client: Client) -> None:
    path = served.folder / "gone.json"
    for output in ("first", "second"):
        path.write_text(json.dumps([{**row, "output": f"{output} {n}"} for n, row in enumerate(rows_of(40))]))
        client.datasets.create(path, name="gone")
        client.datasets.wait("gone", timeout=PATIENCE)
    client.datasets.statistics("gone", 1)
    hash = client.datasets.version("gone", 1).content_hash
    left = client.datasets.delete_version("gone", 1)
    assert (left.state, left.content_hash) == ("deleted", hash)
    refused = get(served, "gone/versions/1/rows")
    assert (refused.status_code, refused.json()["code"]) == (410, "version_deleted")
    assert hash in refused.json()["message"]
    assert get(served, "gone/versions/1/search").json()["code"] == "version_deleted"
    assert client.datasets.get("gone").latest == client.datasets.version("gone", 2)
    for blob in (served.folder / "data" / "blobs" / "sha256").rglob("*"):
        if blob.is_file():
            os.utime(blob, (1, 1))
    freed = client.datasets.collect_garbage(timeout=PATIENCE).result
    assert freed is not None
    assert freed["blobs"] >= 4, "shard, index, manifest, and what the statistics knew of each row"
    assert freed["analyses"] == 1
    assert client.datasets.rows("gone", 2).total == 40
    assert done(served, "gc")["result"]["blobs"] == 0
    client.datasets.delete_version("gone", 2)
    assert client.datasets.get("gone").latest is None
    path.write_text(json.dumps(rows_of(20)))
    client.datasets.create(path, name="gone")
    assert client.datasets.wait("gone", timeout=PATIENCE).version == 3, "a number is never given twice"
    assert done(served, "delete", "gone")["deleted"] == "gone"
