"""Datasets out of an S3 store: a whole server against a real SeaweedFS, through the client and the command."""

import gzip
import io
import json
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.connections.conftest import rows, worker_stopped
from tests.connections.seaweed import BLIND, BLIND_SECRET, SECRET, Seaweed
from tests.patience import PATIENCE, wait
from tests.served import CLOSED, Served, server
from tunery.core.errors import Problem
from tunery.schemas.dataset import ImportOptions
from tunery.sdk.client import Client


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with server(
        tmp_path_factory.mktemp("served"),
        TUNERY_PRIVATE_HOSTS='["127.0.0.1"]',
        TUNERY_MAX_UPLOAD_BYTES=str(8 << 20),
        TUNERY_OUTBOUND_SECONDS="60",
    ) as running:
        yield running


@pytest.fixture
def client(served: Served) -> Iterator[Client]:
    with Client(served.url, served.token) as client:
        yield client


def test_a_folder_becomes_a_dataset(client: Client, served: Served, store: Seaweed, bucket: str) -> None:
    store.put(bucket, "support/jsonl/b.jsonl", rows(70, 50))
    store.put(bucket, "support/jsonl/a ü+&.jsonl", rows(50))
    store.put(bucket, "support/README.md", b"Not rows.")
    store.put(bucket, "support/old.jsonl", rows(9))
    settings = store.settings(bucket)
    del settings["secret_key"]
    added = served.tunery(
        "connections", "add", "lake", *(f"{k}={v}" for k, v in settings.items() if k != "access_key"),
        "--secrets", _secrets(served.folder, store.settings(bucket)), "--json",
    )  # fmt: skip
    assert added.returncode == 0, added.stderr
    assert json.loads(added.stdout)["test"]["ok"] is True
    version = _imported(client, "lake", "support")
    assert (version.rows, version.state, version.format) == (120, "published", "alpaca")
    assert version.source is not None
    assert (version.source["files"], version.source["connection"]) == (2, "lake")
    first = client.datasets.rows("ds-support", 1, 0, 1).rows[0]
    assert first["messages"][0]["content"][0]["text"] == "Say 0"
    whole = served.tunery("connections", "import", "lake", "--name", "everything", "--json")
    assert json.loads(whole.stdout)["rows"] == 129
    assert json.loads(whole.stdout)["source"]["passed_over"] == ["support/README.md"]
    one = _imported(client, "lake", "support/old.jsonl", name="one-file")
    assert one.rows == 9
    assert "lake" in served.tunery("connections", "list").stdout


def test_packed_files_are_read_one_after_the_other(client: Client, store: Seaweed, bucket: str) -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("in.jsonl", rows(7, 5))
    store.put(bucket, "mixed/a.jsonl.gz", gzip.compress(rows(5)))
    store.put(bucket, "mixed/b.zip", packed.getvalue())
    store.put(bucket, "mixed/c.csv", b"instruction,output\nSay 12,12!\n")
    store.put(bucket, "texts/a.txt", b"One text.")
    store.put(bucket, "texts/b.txt", b"Another text.")
    client.connections.create("packed", **store.settings(bucket))
    assert _imported(client, "packed", "mixed").rows == 13
    said = [row["messages"][0]["content"][0]["text"] for row in client.datasets.rows("ds-mixed", 1).rows]
    assert said == [f"Say {n}" for n in range(13)]
    texts = _imported(client, "packed", "texts")
    assert (texts.rows, texts.format) == (2, "corpus")


def test_the_same_files_give_the_same_version(client: Client, store: Seaweed, bucket: str) -> None:
    store.put(bucket, "rows.jsonl", rows(20))
    client.connections.create("again", **store.settings(bucket))
    first = _imported(client, "again", "", name="twice")
    second = _imported(client, "again", "", name="twice")
    assert (first.version, second.version) == (1, 2)
    assert first.content_hash == second.content_hash
    assert first.source is not None
    assert second.source is not None
    assert first.source["fingerprint"] == second.source["fingerprint"]


def test_a_bad_row_refuses_the_import_unless_it_is_accepted(
    client: Client, store: Seaweed, bucket: str
) -> None:
    store.put(bucket, "jsonl/1.jsonl", rows(30))
    store.put(bucket, "jsonl/2.jsonl", rows(5) + b'{"instruction": 7}\n' + rows(5))
    client.connections.create("bad", **store.settings(bucket))
    with pytest.raises(Problem) as caught:
        _imported(client, "bad", "", name="refused")
    assert caught.value.code == "rows_rejected"
    report = client.datasets.version("refused", 1).report
    assert report is not None
    assert (report.rows_read, report.rows_accepted, report.rows_rejected) == (41, 40, 1)
    assert (report.problems[0].file, report.problems[0].line) == ("jsonl/2.jsonl", 6)
    version = _imported(client, "bad", "", name="accepted", options=ImportOptions(accept_bad_rows=True))
    assert version.rows == 40
    assert b'"jsonl/2.jsonl"' in client.datasets.quarantine("accepted", 1)


@pytest.mark.parametrize(
    ("changes", "code", "field"),
    [
        ({"access_key": "AKIDNOBODY"}, "remote_key", "access_key"),
        ({"secret_key": "another-canary-1122334455"}, "remote_signature", "secret_key"),
        ({"bucket": "no-such-bucket"}, "remote_bucket", "bucket"),
        ({"access_key": BLIND, "secret_key": BLIND_SECRET}, "remote_forbidden", None),
        ({"endpoint": CLOSED}, "remote_unreachable", None),
        ({"endpoint": "http://no-such-host.invalid"}, "remote_host_unknown", None),
    ],
)
def test_the_test_says_what_is_wrong(
    client: Client, store: Seaweed, bucket: str, changes: dict[str, str], code: str, field: str | None
) -> None:
    made = client.connections.create(f"wrong-{code}", **(store.settings(bucket) | changes))
    test = client.connections.test(made.id)
    assert test.problem is not None
    assert (test.ok, test.problem.code, test.problem.where.get("field")) == (False, code, field)
    assert test.problem.cure
    assert client.connections.get(made.id).test == test
    with pytest.raises(Problem) as caught:
        client.connections.import_files(made.id, name="never")
    assert caught.value.code == code
    with pytest.raises(Problem):
        client.datasets.get("never")


def test_https_on_a_plain_port_is_named(client: Client, store: Seaweed, bucket: str) -> None:
    endpoint = store.endpoint.replace("http://", "https://")
    client.connections.create("no-tls", **store.settings(bucket, endpoint=endpoint))
    test = client.connections.test("no-tls")
    assert test.problem is not None
    assert test.problem.code == "remote_tls"


def test_a_bucket_is_found_before_the_host_too(client: Client, store: Seaweed, bucket: str) -> None:
    """Virtual hosts need a name; an address has none, which is said before anything is stored."""
    with pytest.raises(Problem) as caught:
        client.connections.create("virtual", **store.settings(bucket, addressing="virtual"))
    assert caught.value.code == "address_invalid"


def test_an_object_that_changed_stops_the_import(
    client: Client, served: Served, store: Seaweed, bucket: str
) -> None:
    def meddle() -> None:
        store.put(bucket, "z.jsonl", rows(8, first=1))

    problem = _stop_at_the_last(client, served, store, bucket, "changed", meddle)
    assert (problem.code, problem.params["key"]) == ("source_changed", "z.jsonl")


def test_an_object_that_went_stops_the_import(
    client: Client, served: Served, store: Seaweed, bucket: str
) -> None:
    problem = _stop_at_the_last(
        client, served, store, bucket, "gone", lambda: store.delete(bucket, "z.jsonl")
    )
    assert (problem.code, problem.params["key"]) == ("source_changed", "z.jsonl")


def test_a_bucket_that_vanished_stops_the_import(
    client: Client, served: Served, store: Seaweed, bucket: str
) -> None:
    problem = _stop_at_the_last(client, served, store, bucket, "vanished", lambda: store.drop(bucket))
    assert (problem.code, problem.params["name"]) == ("remote_bucket", bucket)


def test_a_connection_that_was_deleted_stops_the_import(
    client: Client, served: Served, store: Seaweed, bucket: str
) -> None:
    def meddle() -> None:
        client.connections.delete("deleted")

    problem = _stop_at_the_last(client, served, store, bucket, "deleted", meddle)
    assert (problem.code, problem.params["noun"]) == ("not_found", "connection")


def test_an_object_that_came_later_is_not_read(
    client: Client, served: Served, store: Seaweed, bucket: str
) -> None:
    store.put(bucket, "a.jsonl", rows(40))
    client.connections.create("later", **store.settings(bucket))
    with worker_stopped(served.process.pid):
        client.connections.import_files("later", name="later")
        store.put(bucket, "b.jsonl", rows(40))
    assert client.datasets.wait("later", timeout=PATIENCE).rows == 40


def test_too_much_is_refused_before_it_begins(client: Client, store: Seaweed, bucket: str) -> None:
    store.put(bucket, "big.jsonl", b"x" * (9 << 20))
    client.connections.create("big", **store.settings(bucket))
    with pytest.raises(Problem) as caught:
        client.connections.import_files("big", name="big")
    assert caught.value.code == "too_large"
    with pytest.raises(Problem) as caught:
        client.connections.import_files("big", "nothing/here", name="big")
    assert caught.value.code == "source_empty"


def test_no_secret_comes_back(client: Client, served: Served, store: Seaweed, bucket: str) -> None:
    client.connections.create("secret", **store.settings(bucket))
    told = [
        client.connections.get("secret").model_dump_json(),
        client.connections.list(100).model_dump_json(),
        client.connections.test("secret").model_dump_json(),
        served.tunery("connections", "list", "--json").stdout,
    ]
    for bad in ({"bucket": "!"}, {"endpoint": f"https://{SECRET}@x"}, {"secret_key": f"{SECRET} {SECRET}"}):
        with pytest.raises(Problem) as caught:
            client.connections.create("never", **(store.settings(bucket) | bad))
        told += [str(caught.value), repr(caught.value.as_dict())]
    with pytest.raises(Problem) as caught:
        client.connections.create("secret", **store.settings(bucket))
    assert caught.value.code == "name_taken"
    assert SECRET not in "".join([*told, str(caught.value)])
    for path in (served.folder / "data").rglob("*"):
        if path.is_file():
            assert SECRET.encode() not in path.read_bytes(), path
    key = served.folder / "data" / "vault.key"
    assert key.stat().st_mode & 0o777 == 0o600


def _secrets(folder: Path, settings: dict[str, str]) -> Path:
    path = folder / "secrets"
    path.write_text("".join(f"{name}={settings[name]}\n" for name in ("access_key", "secret_key")))
    return path


def _imported(
    client: Client, connection: str, path: str, name: str | None = None, options: ImportOptions | None = None
):
    made = client.connections.import_files(connection, path, name=name or f"ds-{path}", options=options)
    return client.datasets.wait(made.name, timeout=PATIENCE)


def _stop_at_the_last(
    client: Client, served: Served, store: Seaweed, bucket: str, name: str, meddle: Callable[[], None]
) -> Problem:
    """Meddle with the store between the request for an import and its reading; gives what it failed with.

    Nothing the import read before may be there afterwards.
    """
    store.put(bucket, "a.jsonl", rows(40))
    store.put(bucket, "z.jsonl", rows(8))
    client.connections.create(name, **store.settings(bucket))
    with worker_stopped(served.process.pid):
        client.connections.import_files(name, name=name)
        meddle()
    with pytest.raises(Problem) as caught:
        client.datasets.wait(name, timeout=PATIENCE)
    version = client.datasets.version(name, 1)
    assert (version.state, version.rows, version.content_hash) == ("failed", 0, None)
    assert version.error == caught.value.as_dict()
    uploads = served.folder / "data" / "uploads"
    wait("all to go that was on the way in", lambda: not any(uploads.iterdir()))
    return caught.value
