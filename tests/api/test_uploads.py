"""Files come in whole or not at all, by way of the disk."""

import os
import socket
from pathlib import Path

import pytest
from sqlalchemy import select
from starlette.testclient import TestClient

from tests.api.place import BASE, UPLOAD_LIMIT, Live, Place
from tests.patience import wait
from tunery.api import uploads
from tunery.db.engine import reading
from tunery.db.tables import task
from tunery.server.app import create_app

ROWS = b'{"instruction": "a", "output": "b"}\n' * 200
FORM = {"name": "support", "accept_bad_rows": "true", "publish": "false", "format": "alpaca"}


def left(place: Place) -> list[str]:
    return sorted(os.listdir(place.folder / "uploads"))


def queued(place: Place) -> list[dict]:
    with reading(place.state.engine) as connection:
        return [row.payload for row in connection.execute(select(task).order_by(task.c.created))]


def test_an_upload_becomes_a_task_with_the_file(place: Place, client: TestClient) -> None:
    answer = client.post("/api/v1/datasets", data=FORM, files={"file": ("rows ü.jsonl", ROWS)})
    assert answer.status_code == 202, answer.text
    dataset = answer.json()
    assert dataset["name"] == "support"
    assert client.get(f"/api/v1/tasks/{dataset['task']}").json()["state"] == "queued"
    (payload,) = queued(place)
    assert Path(payload["path"]).read_bytes() == ROWS
    assert payload["filename"] == "rows ü.jsonl"
    assert (payload["options"]["format"], payload["accept_bad_rows"], payload["publish"]) == (
        "alpaca",
        True,
        False,
    )
    assert left(place) == [Path(payload["path"]).name]


def test_fields_may_come_after_the_file_and_be_left_out(place: Place, client: TestClient) -> None:
    boundary = "xyz"
    body = (
        b'--xyz\r\nContent-Disposition: form-data; name="file"; filename="../../etc/x.jsonl"\r\n\r\n'
        + ROWS
        + b'\r\n--xyz\r\nContent-Disposition: form-data; name="name"\r\n\r\nlate\r\n--xyz--\r\n'
    )
    headers = {"Content-Type": f"multipart/form-data; boundary={boundary}"}
    assert client.post("/api/v1/datasets", content=body, headers=headers).status_code == 202
    (payload,) = queued(place)
    assert Path(payload["path"]).parent == place.folder / "uploads"
    assert Path(payload["path"]).read_bytes() == ROWS
    assert (payload["options"]["format"], payload["accept_bad_rows"], payload["publish"]) == (
        None,
        False,
        True,
    )


@pytest.mark.parametrize(
    ("data", "files", "field"),
    [
        ({}, {"file": ("a.jsonl", ROWS)}, "name"),
        ({"name": "a/b"}, {"file": ("a.jsonl", ROWS)}, "name"),
        ({"name": "a", "publish": "perhaps"}, {"file": ("a.jsonl", ROWS)}, "publish"),
        ({"name": "a", "colour": "red"}, {"file": ("a.jsonl", ROWS)}, "colour"),
        ({"name": "a"}, {"other": ("a.jsonl", ROWS)}, "other"),
        ({"name": "a"}, [("file", ("a.jsonl", ROWS)), ("file", ("b.jsonl", ROWS))], "file"),
        ({"name": "a"}, {"nothing": (None, "x")}, "file"),
    ],
)
def test_a_wrong_form_is_explained_and_leaves_nothing(
    place: Place, client: TestClient, data: dict, files: object, field: str
) -> None:
    answer = client.post("/api/v1/datasets", data=data, files=files)  # pyright: ignore[reportArgumentType]
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request")
    assert answer.json()["where"]["field"] == field
    assert left(place) == queued(place) == []


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (b"{}", "application/json"),
        (b"", "multipart/form-data; boundary=x"),
        (b"garbage", "multipart/form-data; boundary=x"),
        (b"--x\r\nContent-Disposition: form-data\r\n", "multipart/form-data; boundary=x"),
        (b"--x\r\n\r\n", "multipart/form-data"),
        (
            b'--x\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\nrows',
            "multipart/form-data; boundary=x",
        ),
        (b"--" + b"x" * 300, "multipart/form-data; boundary=" + "x" * 300),
    ],
)
def test_a_broken_form_leaves_nothing(place: Place, client: TestClient, content: bytes, kind: str) -> None:
    answer = client.post("/api/v1/datasets", content=content, headers={"Content-Type": kind})
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request")
    assert left(place) == []


def test_a_service_that_refuses_leaves_nothing(place: Place, client: TestClient) -> None:
    answer = client.post(
        "/api/v1/datasets", data={**FORM, "format": "nonesuch"}, files={"file": ("a.jsonl", ROWS)}
    )
    assert (answer.status_code, answer.json()["code"]) == (422, "unknown_extension")
    assert left(place) == queued(place) == []


def test_one_byte_too_many(place: Place, client: TestClient) -> None:
    fits = client.post("/api/v1/datasets", data=FORM, files={"file": ("a", b"x" * UPLOAD_LIMIT)})
    assert fits.status_code == 202
    before = left(place)
    answer = client.post("/api/v1/datasets", data=FORM, files={"file": ("a", b"x" * (UPLOAD_LIMIT + 1))})
    assert (answer.status_code, answer.json()["code"]) == (413, "too_large")
    assert left(place) == before


def test_an_endless_field_is_cut_off(place: Place, client: TestClient) -> None:
    answer = client.post("/api/v1/datasets", data={"name": "a" * 2**17}, files={"file": ("a", ROWS)})
    assert (answer.status_code, answer.json()["code"]) == (413, "body_too_large")
    assert left(place) == []


def test_a_full_disk_leaves_nothing(
    place: Place, client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    (place.folder / "uploads" / "full").symlink_to("/dev/full")
    monkeypatch.setattr(uploads, "new_id", lambda _: "full")
    answer = client.post("/api/v1/datasets", data=FORM, files={"file": ("a", b"x" * 2**20)})
    assert (answer.status_code, answer.json()["code"]) == (507, "disk_full")
    assert left(place) == queued(place) == []


def test_a_client_that_goes_away_leaves_nothing(live: Live) -> None:
    host, port = live.url.removeprefix("http://").split(":")
    head = (
        f"POST /api/v1/datasets HTTP/1.1\r\nHost: {host}:{port}\r\nAuthorization: Bearer {live.place.token}\r\n"
        "Content-Type: multipart/form-data; boundary=x\r\nContent-Length: 2000000\r\n\r\n"
        '--x\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n'
    )
    with socket.create_connection((host, int(port))) as connection:
        connection.sendall(head.encode() + b"x" * 1_500_000)
        wait("the upload to begin", lambda: len(left(live.place)) == 1)
    wait("the upload to go", lambda: left(live.place) == [])
    assert queued(live.place) == []


def test_what_a_killed_server_left_is_removed_at_the_next_start(place: Place, client: TestClient) -> None:
    kept = client.post("/api/v1/datasets", data=FORM, files={"file": ("a", ROWS)})
    assert kept.status_code == 202
    (waiting,) = left(place)
    (place.folder / "uploads" / "upload_half").write_bytes(b"half")
    with TestClient(create_app(place.state.settings, work=False), base_url=BASE):
        assert left(place) == [waiting]
