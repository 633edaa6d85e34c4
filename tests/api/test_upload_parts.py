"""Files in parts: what was acknowledged stays, whatever breaks."""

import base64
import contextlib
import hashlib
import os
import socket
import subprocess
import threading
import time
from pathlib import Path

import pytest
from sqlalchemy import update
from starlette.testclient import TestClient

from tests.api.place import BASE, UPLOAD_LIMIT, Live, Place
from tests.e2e.mount import small_disk
from tests.patience import wait
from tunery.core.clock import now_us
from tunery.core.errors import Problem
from tunery.db.engine import writing
from tunery.db.tables import upload
from tunery.server.app import create_app
from tunery.services import upload_writers
from tunery.services.upload_writers import Target, Writers

PART = "application/offset+octet-stream"
ROWS = b'{"instruction": "a", "output": "b"}\n' * 200


def begin(client: TestClient, size: int, **metadata: str) -> str:
    said = ",".join(f"{name} {base64.b64encode(text.encode()).decode()}" for name, text in metadata.items())
    headers = {"Upload-Length": str(size), "Upload-Metadata": said, "Tus-Resumable": "1.0.0"}
    answer = client.post("/api/v1/uploads", headers=headers)
    assert answer.status_code == 201, answer.text
    assert answer.headers["Tus-Resumable"] == "1.0.0"
    assert answer.headers["Location"] == f"/api/v1/uploads/{answer.json()['id']}"
    return answer.headers["Location"]


def send(client: TestClient, at: str, offset: int, content: bytes):
    headers = {"Upload-Offset": str(offset), "Content-Type": PART, "Tus-Resumable": "1.0.0"}
    return client.patch(at, content=content, headers=headers)


def offset(client: TestClient, at: str) -> int:
    answer = client.head(at, headers={"Tus-Resumable": "1.0.0"})
    assert answer.status_code == 200
    return int(answer.headers["Upload-Offset"])


def staged(place: Place, at: str) -> Path:
    return place.folder / "uploads" / at.rpartition("/")[2]


def test_parts_become_a_dataset(place: Place, client: TestClient) -> None:
    described = client.options("/api/v1/uploads")
    assert (described.status_code, described.headers["Tus-Version"]) == (204, "1.0.0")
    assert described.headers["Tus-Max-Size"] == str(UPLOAD_LIMIT)
    at = begin(client, len(ROWS), filename="rows ü.jsonl", fingerprint="mine")
    assert offset(client, at) == 0
    for start in range(0, len(ROWS), 3000):
        answer = send(client, at, start, ROWS[start : start + 3000])
        assert (answer.status_code, answer.content) == (204, b"")
        assert int(answer.headers["Upload-Offset"]) == offset(client, at) == min(start + 3000, len(ROWS))
    (listed,) = client.get("/api/v1/uploads", params={"fingerprint": "mine"}).json()["data"]
    assert (listed["offset"], listed["bytes"], listed["filename"]) == (len(ROWS), len(ROWS), "rows ü.jsonl")
    made = client.post(f"{at}/import", json={"name": "support", "columns": {"instruction": "question"}})
    assert made.status_code == 202, made.text
    latest = made.json()["latest"]
    assert (latest["state"], latest["filename"]) == ("importing", "rows ü.jsonl")
    assert latest["options"]["columns"] == {"instruction": "question"}
    assert client.get(at).status_code == 404
    (waiting,) = os.listdir(place.folder / "uploads")
    assert (place.folder / "uploads" / waiting).read_bytes() == ROWS


def test_a_wrong_offset_is_told_and_changes_nothing(place: Place, client: TestClient) -> None:
    at = begin(client, 100)
    assert send(client, at, 0, b"x" * 40).status_code == 204
    for wrong in (0, 39, 41, 100):
        answer = send(client, at, wrong, b"y" * 10)
        assert (answer.status_code, answer.json()["code"]) == (409, "upload_conflict")
        assert answer.json()["params"]["offset"] == 40
    assert staged(place, at).read_bytes() == b"x" * 40


@pytest.mark.parametrize(
    ("headers", "status", "code"),
    [
        ({}, 422, "invalid_request"),
        ({"Upload-Length": "-1"}, 422, "invalid_request"),
        ({"Upload-Length": "ten"}, 422, "invalid_request"),
        ({"Upload-Length": "10", "Tus-Resumable": "0.2"}, 412, "protocol_version"),
        ({"Upload-Length": "10", "Upload-Metadata": "filename !!"}, 422, "invalid_request"),
        ({"Upload-Length": "10", "Upload-Metadata": "sha256 eHh4"}, 422, "invalid_request"),
        ({"Upload-Length": str(UPLOAD_LIMIT + 1)}, 413, "too_large"),
    ],
)
def test_what_can_not_be_taken_is_said_before_a_byte_is_sent(
    place: Place, client: TestClient, headers: dict[str, str], status: int, code: str
) -> None:
    answer = client.post("/api/v1/uploads", headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text
    assert os.listdir(place.folder / "uploads") == []


def test_no_room_is_said_at_once(place: Place, client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = os.statvfs(place.folder)
    assert usage.f_bavail > 0
    monkeypatch.setattr("shutil.disk_usage", lambda _: type("Usage", (), {"free": 99})())
    answer = client.post("/api/v1/uploads", headers={"Upload-Length": "100"})
    assert (answer.status_code, answer.json()["code"]) == (507, "no_room")
    assert answer.json()["params"]["free"] == 99


def test_more_than_announced_is_refused_and_the_rest_kept(place: Place, client: TestClient) -> None:
    at = begin(client, 10)
    assert send(client, at, 0, b"x" * 6).status_code == 204
    answer = send(client, at, 6, b"y" * 5)
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request")
    assert offset(client, at) == 6
    answer = client.post(f"{at}/import", json={"name": "a"})
    assert (answer.status_code, answer.json()["code"]) == (409, "upload_unfinished")
    assert client.get("/api/v1/datasets").json()["data"] == []


def test_a_full_disk_keeps_what_came(tmp_path: Path) -> None:
    writers = Writers()
    content = os.urandom(2_000_000)
    with small_disk(tmp_path / "small", "1m") as disk:
        target = Target("upl_1", disk / "upl_1", len(content))
        writer = writers.begin(target, 0)
        for start in (0, 300_000, 600_000):
            writer.write(content[start : start + 300_000])
        with pytest.raises(Problem) as caught:
            writer.write(content[900_000:])
        assert caught.value.code == "upload_disk_full"
        came = writer.finish()
        assert came == caught.value.params["offset"] == target.path.stat().st_size
        assert 600_000 < came <= 2**20
        assert target.path.read_bytes() == content[:came]
        subprocess.run(["mount", "-o", "remount,size=4m", str(disk)], check=True)
        assert writers.offset(target) == came
        writer = writers.begin(target, came)
        writer.write(content[came:])
        assert writer.finish() == len(content)
        assert target.path.read_bytes() == content


def test_giving_up_leaves_nothing(place: Place, client: TestClient) -> None:
    at = begin(client, 10)
    send(client, at, 0, b"x")
    assert client.delete(at).status_code == 204
    assert client.head(at).status_code == 404
    assert os.listdir(place.folder / "uploads") == []


def test_one_that_waited_too_long_is_gone(place: Place, client: TestClient) -> None:
    at = begin(client, 10)
    send(client, at, 0, b"x")
    with writing(place.state.engine) as connection:
        connection.execute(update(upload).values(expires=now_us() - 1))
    for answer in (
        client.get(at),
        send(client, at, 1, b"x"),
        client.post(f"{at}/import", json={"name": "a"}),
    ):
        assert (answer.status_code, answer.json()["code"]) == (410, "upload_expired")
    begin(client, 10)
    assert not staged(place, at).exists()


def test_nobody_else_sees_it(place: Place, client: TestClient, stranger: TestClient) -> None:
    at = begin(client, 10)
    for answer in (stranger.get(at), stranger.head(at), send(stranger, at, 0, b"x"), stranger.delete(at)):
        assert answer.status_code == 401
    assert offset(client, at) == 0


def test_a_new_start_of_the_server_keeps_uploads(place: Place, client: TestClient) -> None:
    at = begin(client, 10)
    send(client, at, 0, b"12345")
    with TestClient(create_app(place.state.settings, work=False), base_url=BASE, headers=place.key) as again:
        assert offset(again, at) == 5
        assert send(again, at, 5, b"67890").status_code == 204
    assert staged(place, at).read_bytes() == b"1234567890"


def _half_a_part(live: Live, at: str, start: int, announced: int, content: bytes) -> socket.socket:
    """A connection that sends less than it announces, and stays open."""
    host, port = live.url.removeprefix("http://").split(":")
    head = (
        f"PATCH {at} HTTP/1.1\r\nHost: {host}:{port}\r\nAuthorization: Bearer {live.place.token}\r\n"
        f"Content-Type: {PART}\r\nUpload-Offset: {start}\r\nContent-Length: {announced}\r\n\r\n"
    )
    connection = socket.create_connection((host, int(port)))
    connection.sendall(head.encode() + content)
    return connection


def test_a_dropped_connection_keeps_what_came(live: Live, monkeypatch: pytest.MonkeyPatch) -> None:
    content = os.urandom(2_000_000)
    with live.client() as client:
        at = begin(client, len(content))  # pyright: ignore[reportArgumentType]
        path = staged(live.place, at)
        connection = _half_a_part(live, at, 0, len(content), content[:1_300_000])
        wait("the first part", lambda: path.stat().st_size >= 2**20)
        second = send(client, at, 0, content)  # pyright: ignore[reportArgumentType]
        assert (second.status_code, second.json()["code"]) == (423, "upload_busy")
        connection.close()
        wait("all that came", lambda: offset(client, at) == 1_300_000)  # pyright: ignore[reportArgumentType]
        assert send(client, at, 1_300_000, content[1_300_000:]).status_code == 204  # pyright: ignore[reportArgumentType]
    assert path.read_bytes() == content


def test_a_silent_writer_gives_way(live: Live, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upload_writers, "SILENT_SECONDS", 0.2)
    content = os.urandom(2_000_000)
    with live.client() as client:
        at = begin(client, len(content))  # pyright: ignore[reportArgumentType]
        path = staged(live.place, at)
        connection = _half_a_part(live, at, 0, len(content), content[: 2**20])
        wait("the first part", lambda: path.stat().st_size == 2**20)
        time.sleep(0.3)  # the sender is silent for longer than the server waits for it
        assert send(client, at, 2**20, content[2**20 :]).status_code == 204  # pyright: ignore[reportArgumentType]
        # The one that was silent goes on: it is told, and nothing of it is written.
        with contextlib.suppress(OSError):  # it may be told, and cut off, before all is sent
            connection.sendall(b"!" * (len(content) - 2**20))
        assert b" 423 " in connection.recv(100)
        connection.close()
    assert path.read_bytes() == content


def test_of_many_writers_one_writes(live: Live) -> None:
    content = os.urandom(1_500_000)
    statuses: list[int] = []
    with live.client() as client:
        at = begin(client, len(content))  # pyright: ignore[reportArgumentType]

        def write() -> None:
            with live.client() as own:
                statuses.append(send(own, at, 0, content).status_code)  # pyright: ignore[reportArgumentType]

        threads = [threading.Thread(target=write) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert statuses.count(204) == 1
    assert set(statuses) <= {204, 409, 423}
    assert hashlib.sha256(staged(live.place, at).read_bytes()).digest() == hashlib.sha256(content).digest()
