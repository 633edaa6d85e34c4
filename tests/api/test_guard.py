"""What the guard stops, and what it adds to every answer."""

from pathlib import Path

import pytest
from starlette.testclient import TestClient

from tests.api.place import BASE, UPLOAD_LIMIT, Place
from tunery.api.guard import BODY_LIMIT, host_name, is_loopback
from tunery.core.settings import ServerSettings
from tunery.server.app import create_app

FOREIGN_ORIGINS = [
    "https://evil.example",
    "null",
    "",
    "file://",
    "http://[",
    "http://127.0.0.1:9999",
    "http://localhost:8420",
    "http://a@127.0.0.1:8420",
]


@pytest.fixture(scope="module")
def place(module_place: Place) -> Place:
    return module_place


@pytest.fixture(scope="module")
def client(module_client: TestClient) -> TestClient:
    return module_client


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "evil.example:8420",
        "127.0.0.1.evil.example",
        "localhost.evil.example",
        "",
        "a@127.0.0.1",
        "10.0.0.7",
        "[::2]",
        "x:y",
    ],
)
def test_foreign_hosts_are_refused_everywhere(client: TestClient, host: str) -> None:
    for path in ("/api/v1/health", "/api/v1/runs", "/v1/models", "/login", "/static/css/base.css"):
        answer = client.get(path, headers={"Host": host})
        assert answer.status_code == 403, path
    assert client.get("/api/v1/runs", headers={"Host": host}).json()["code"] == "foreign_host"


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:1", "127.0.0.1", "127.8.9.1:80", "[::1]:8420"])
def test_loopback_hosts_are_ours(client: TestClient, host: str) -> None:
    assert client.get("/api/v1/health", headers={"Host": host}).status_code == 200


def test_an_administrator_can_allow_a_name(tmp_path: Path) -> None:
    settings = ServerSettings(data=tmp_path, allowed_hosts=["tunery.example"])
    with TestClient(create_app(settings, work=False), base_url=BASE) as client:
        assert client.get("/api/v1/health", headers={"Host": "Tunery.example:443"}).status_code == 200
        assert client.get("/api/v1/health", headers={"Host": "other.example"}).status_code == 403


@pytest.mark.parametrize("origin", FOREIGN_ORIGINS)
@pytest.mark.parametrize(
    "path", ["/api/v1/runs", "/api/v1/datasets", "/v1/chat/completions", "/login", "/logout"]
)
def test_a_foreign_origin_changes_nothing(client: TestClient, origin: str, path: str) -> None:
    assert client.post(path, json={}, headers={"Origin": origin}).status_code == 403


def test_what_a_browser_says_of_a_request_from_another_site_is_believed(client: TestClient) -> None:
    assert (
        client.post(
            "/api/v1/tokens", json={"name": "a"}, headers={"Sec-Fetch-Site": "cross-site"}
        ).status_code
        == 403
    )
    assert client.delete("/api/v1/tokens/x", headers={"Sec-Fetch-Site": "same-site"}).status_code == 403


def test_our_own_origin_may(client: TestClient) -> None:
    headers = {"Origin": BASE, "Sec-Fetch-Site": "same-origin"}
    assert client.post("/api/v1/tokens", json={"name": "a"}, headers=headers).status_code == 201
    assert client.get("/api/v1/tokens", headers={"Origin": "https://evil.example"}).status_code == 200


def test_every_answer_has_the_security_headers(client: TestClient, stranger: TestClient) -> None:
    answers = [
        client.get("/api/v1/health"),
        client.get("/api/v1/runs/none"),
        client.get("/api/openapi.json"),
        client.get("/"),
        client.get("/nothing/here"),
        stranger.get("/api/v1/runs"),
        stranger.get("/login"),
        stranger.get("/v1/models"),
        client.get("/api/v1/health", headers={"Host": "evil.example"}),
    ]
    for answer in answers:
        policy = dict(
            part.strip().split(" ", 1) for part in answer.headers["content-security-policy"].split(";")
        )
        assert policy["default-src"] == policy["script-src"] == policy["style-src"] == "'self'"
        assert policy["frame-ancestors"] == policy["base-uri"] == "'none'"
        assert policy["form-action"] == "'self'"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["referrer-policy"] == "same-origin"
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["x-request-id"].startswith("req_")
        assert "access-control-allow-origin" not in answer.headers


def test_too_large_bodies_are_refused_before_they_are_read(client: TestClient) -> None:
    answer = client.post("/api/v1/runs", content=b"x" * (BODY_LIMIT + 1))
    assert (answer.status_code, answer.json()["code"]) == (413, "body_too_large")
    assert answer.json()["params"] == {"limit": BODY_LIMIT}


def test_an_upload_has_a_limit_of_its_own(client: TestClient) -> None:
    answer = client.post("/api/v1/datasets", content=b"x" * (UPLOAD_LIMIT + 2**21))
    assert (answer.status_code, answer.json()["code"]) == (413, "too_large")


def test_host_names() -> None:
    assert host_name("LocalHost:80") == "localhost"
    assert host_name("[::1]:8") == "::1"
    assert host_name("a b") != "a"
    assert host_name("127.0.0.1/evil") is None
    assert not is_loopback("localhost.evil.example")
