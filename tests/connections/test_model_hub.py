"""Data sets of a model hub, by name: the code that talks to a hub, against a stand-in with its interface."""

import hashlib
import json
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from bench.standin import Asked, Reply, StandIn, standin
from tests.connections.conftest import rows
from tests.patience import PATIENCE
from tests.served import server
from tunery.core.errors import Problem
from tunery.sdk.client import Client

COMMIT = "1f" * 20
TOKEN = "hf_canary_9d8c7b6a5f"
SMALL, LARGE = rows(40), rows(60, 40)


class Hub:
    """A hub with one public and one private data set, and the other host that keeps its large files."""

    def __init__(self) -> None:
        self.large = LARGE
        self.files = StandIn(0, [])

    def answer(self, asked: Asked) -> Reply:
        known = asked.headers.get("authorization") == f"Bearer {TOKEN}"
        path, _, query = asked.path.partition("?")
        if path == "/hub/api/whoami-v2":
            return Reply(200, b"{}") if known else Reply(401)
        if path == "/hub/api/datasets":
            return Reply(200, b"[]")
        if "/secret/" in path and not known:
            return Reply(401)
        if path.endswith("/revision/main"):
            return Reply(200, json.dumps({"sha": COMMIT, "id": "any"}).encode())
        if path.endswith(f"/tree/{COMMIT}"):
            return self._tree(path, query)
        if path.endswith(f"/resolve/{COMMIT}/data/a.jsonl"):
            return Reply(200, SMALL)
        if path.endswith(f"/resolve/{COMMIT}/data/b%20c.jsonl"):
            return Reply(302, b"", {"Location": f"{self.files.url}/blob?signature=x"})
        return Reply(404)

    def _tree(self, path: str, query: str) -> Reply:
        blob = hashlib.sha1(b"blob %d\0%s" % (len(SMALL), SMALL)).hexdigest()
        if "cursor" not in query:
            first = [
                {"type": "directory", "path": "data", "oid": "0", "size": 0},
                {"type": "file", "path": "README.md", "oid": "0" * 40, "size": 7},
                {"type": "file", "path": "data/a.jsonl", "oid": blob, "size": len(SMALL)},
            ]
            following = f'<http://elsewhere.example{path}?recursive=true&cursor=2>; rel="next"'
            return Reply(200, json.dumps(first).encode(), {"Link": following})
        large = {"oid": hashlib.sha256(LARGE).hexdigest(), "size": len(LARGE)}
        entry = {
            "type": "file",
            "path": "data/b c.jsonl",
            "oid": "1" * 40,
            "size": len(LARGE),
            "lfs": large,
        }
        return Reply(200, json.dumps([entry]).encode())


@pytest.fixture(scope="module")
def hub() -> Iterator[tuple[Hub, StandIn]]:
    with ExitStack() as stack:
        made = Hub()
        made.files = stack.enter_context(standin(lambda _: Reply(200, made.large)))
        yield made, stack.enter_context(standin(made.answer))


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    folder: Path = tmp_path_factory.mktemp("served")
    with (
        server(folder, TUNERY_PRIVATE_HOSTS='["127.0.0.1"]') as served,
        Client(served.url, served.token) as client,
    ):
        yield client


def test_a_data_set_is_imported_by_its_name(client: Client, hub: tuple[Hub, StandIn]) -> None:
    made, service = hub
    settings = {"endpoint": f"{service.url}/hub", "token": TOKEN}
    shown = client.connections.create("hub", kind="model_hub", **settings)
    assert (shown.settings, shown.secrets) == ({"endpoint": f"{service.url}/hub"}, ["token"])
    test = client.connections.test("hub")
    assert test.ok, test.problem
    client.connections.import_files("hub", "secret/rows", name="rows")
    version = client.datasets.wait("rows", timeout=PATIENCE)
    assert (version.rows, version.state) == (100, "published")
    assert version.source is not None
    assert (version.source["files"], version.source["passed_over"]) == (
        2,
        [f"secret/rows@{COMMIT}/README.md"],
    )
    assert "authorization" not in made.files.asked[0].headers, "the token stays with the hub"
    client.connections.import_files("hub", "secret/rows/data/a.jsonl", name="one")
    assert client.datasets.wait("one", timeout=PATIENCE).rows == 40


def test_a_file_with_another_hash_stops_the_import(client: Client, hub: tuple[Hub, StandIn]) -> None:
    made, service = hub
    made.large = LARGE.replace(b"Say 41", b"Say 14")
    client.connections.create("tampered", kind="model_hub", endpoint=f"{service.url}/hub")
    client.connections.import_files("tampered", "open/rows", name="tampered")
    with pytest.raises(Problem) as caught:
        client.datasets.wait("tampered", timeout=PATIENCE)
    assert caught.value.code == "source_changed"
    assert client.datasets.version("tampered", 1).rows == 0


@pytest.mark.parametrize(
    ("settings", "path", "code"),
    [
        ({"token": "hf_wrong"}, "secret/rows", "remote_key"),
        ({}, "secret/rows", "remote_forbidden"),
        ({}, "open/rows@other", "remote_bucket"),
        ({}, "no-slash", "invalid_request"),
        ({}, "open/../../x", "invalid_request"),
        ({}, "open/rows/nothing", "source_empty"),
    ],
)
def test_what_is_wrong_is_named(
    client: Client, hub: tuple[Hub, StandIn], settings: dict[str, str], path: str, code: str
) -> None:
    name = f"wrong-{code}-{len(path)}"
    client.connections.create(name, kind="model_hub", endpoint=f"{hub[1].url}/hub", **settings)
    with pytest.raises(Problem) as caught:
        client.connections.import_files(name, path, name="never")
    assert caught.value.code == code
