"""Nobody gets in without a token, and nothing is open by accident."""

import time

import pytest
from fastapi.routing import iter_route_contexts
from sqlalchemy import insert
from starlette.routing import Mount
from starlette.testclient import TestClient
from starlette.websockets import WebSocketDisconnect

from tests.api.place import Place
from tunery.db.engine import writing
from tunery.db.tables import project
from tunery.services import tokens
from tunery.services.sessions import COOKIE, Sessions

# The whole list. Adding to it is a decision about security.
OPEN = {("GET", "/api/v1/health"), ("GET", "/login"), ("POST", "/login"), ("*", "/static")}
UNKNOWN = {"Authorization": "Bearer tnr_" + "x" * 40}


def every_route(place: Place) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    for context in iter_route_contexts(place.app.routes):
        path = context.path or ""
        if isinstance(context.original_route, Mount):
            found.append(("*", path))
            continue
        assert context.methods, f"{path} answers to something that isn't HTTP: has it authentication?"
        found += [(method, path) for method in context.methods]
    return found


def test_the_walk_sees_all_surfaces(place: Place) -> None:
    routes = every_route(place)
    for expected in [
        ("POST", "/api/v1/runs"),
        ("GET", "/api/v1/runs/{run}/stream"),
        ("POST", "/v1/chat/completions"),
        ("GET", "/api/openapi.json"),
        ("GET", "/runs"),
        ("*", "/static"),
    ]:
        assert expected in routes
    assert len(routes) > 45


@pytest.mark.parametrize(
    "headers", [{}, UNKNOWN, {"Authorization": "Basic eDp5"}, {"Authorization": "Bearer"}]
)
def test_every_route_but_the_open_ones_refuses_strangers(
    place: Place, stranger: TestClient, headers: dict[str, str]
) -> None:
    for method, path in every_route(place):
        if (method, path) in OPEN:
            continue
        address = path.replace("{", "").replace("}", "").replace(":path", "").replace(":elsewhere", "")
        answer = stranger.request(method, address, headers=headers, content=b"{not json")
        if address.startswith(("/api", "/v1")):
            assert answer.status_code == 401, (method, path)
            if method == "HEAD":
                continue
            code = answer.json().get("code") or answer.json()["error"]["code"]
            assert code in ("not_authenticated", "invalid_api_key")
            assert answer.headers["www-authenticate"] == "Bearer"
        else:
            assert answer.status_code == 303, (method, path)
            assert answer.headers["location"].startswith("/login")


def test_open_routes_answer_to_strangers(stranger: TestClient) -> None:
    assert stranger.get("/api/v1/health").json().keys() == {"status", "version"}
    assert stranger.get("/login").status_code == 200
    assert stranger.get("/static/../api/v1/runs").status_code in (401, 404)
    assert stranger.get("/static/%2e%2e/api/v1/runs").status_code in (401, 404)
    assert stranger.get("/api/v1/health/").status_code == 401


def test_addresses_that_lead_nowhere_are_closed_too(stranger: TestClient, client: TestClient) -> None:
    assert stranger.get("/api/v1/nothing").status_code == 401
    assert stranger.get("/api/v2/runs").status_code == 401
    assert client.get("/api/v1/nothing").json()["code"] == "no_such_address"
    assert client.put("/api/v1/runs").json()["code"] == "no_such_address"


def test_a_token_opens_everything_until_it_is_revoked(client: TestClient, stranger: TestClient) -> None:
    made = client.post("/api/v1/tokens", json={"name": "laptop"}).json()
    mine = {"Authorization": f"Bearer {made['token']}"}
    assert stranger.get("/api/v1/runs", headers=mine).status_code == 200
    listed = client.get("/api/v1/tokens").json()
    assert [token["name"] for token in listed] == ["laptop", "first start"]
    assert made["token"] not in client.get("/api/v1/tokens").text
    assert client.delete(f"/api/v1/tokens/{made['id']}").status_code == 204
    assert stranger.get("/api/v1/runs", headers=mine).status_code == 401
    assert client.delete(f"/api/v1/tokens/{made['id']}").status_code == 404


def test_a_session_cookie_opens_and_ends_with_its_token(
    place: Place, client: TestClient, stranger: TestClient
) -> None:
    made = client.post("/api/v1/tokens", json={"name": "browser"}).json()
    cookie = place.state.sign_in(made["token"])
    assert cookie is not None
    assert made["token"] not in cookie
    stranger.cookies.set(COOKIE, cookie)
    assert stranger.get("/api/v1/runs").status_code == 200
    # A wrong token isn't made good by a good cookie.
    assert stranger.get("/api/v1/runs", headers=UNKNOWN).status_code == 401
    client.delete(f"/api/v1/tokens/{made['id']}")
    assert stranger.get("/api/v1/runs").status_code == 401


def test_there_is_no_way_in_by_websocket(client: TestClient, stranger: TestClient) -> None:
    for caller in (client, stranger):
        for path in ("/api/v1/runs/x/stream", "/", "/login", "/static/x"):
            with pytest.raises(WebSocketDisconnect), caller.websocket_connect(path):
                pass


def test_forged_cookies_are_refused(place: Place, client: TestClient, stranger: TestClient) -> None:
    (own,) = client.get("/api/v1/tokens").json()
    good = place.state.sessions.issue(own["id"])
    for forged in (Sessions(b"another secret").issue(own["id"]), good[:-2] + "AA", own["id"], "", "a.b.c"):
        stranger.cookies.set(COOKIE, forged)
        assert stranger.get("/api/v1/runs").status_code == 401
    assert place.state.sign_in("tnr_unknown") is None


def test_cookies_expire(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    cookie = place.state.sessions.issue("tok_1")
    assert place.state.sessions.token_of(cookie) == "tok_1"
    later = time.time() + 15 * 24 * 3600
    monkeypatch.setattr(time, "time", lambda: later)
    assert place.state.sessions.token_of(cookie) is None


def test_each_sign_in_has_a_cookie_of_its_own(place: Place) -> None:
    assert place.state.sign_in(place.token) != place.state.sign_in(place.token)


def test_the_secret_that_signs_cookies_is_for_its_owner_only(place: Place) -> None:
    assert (place.folder / "secret.key").stat().st_mode & 0o777 == 0o600
    assert len((place.folder / "secret.key").read_bytes()) == 32


def test_another_projects_things_are_not_there(
    place: Place, client: TestClient, stranger: TestClient
) -> None:
    with writing(place.state.engine) as connection:
        connection.execute(insert(project).values(id="proj_other", name="other", created=1))
        _, secret = tokens.create_for(connection, "proj_other", "other")
    theirs = {"Authorization": f"Bearer {secret}"}
    (own,) = client.get("/api/v1/tokens").json()
    assert stranger.delete(f"/api/v1/tokens/{own['id']}", headers=theirs).status_code == 404
    assert client.get("/api/v1/tokens").json() == [own]
