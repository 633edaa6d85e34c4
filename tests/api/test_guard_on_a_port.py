"""The guard before a real socket."""

from collections.abc import Iterator

import httpx

from tests.api.place import Live
from tunery.api.guard import BODY_LIMIT


def test_too_large_bodies_without_an_announced_length_are_cut_off(live: Live) -> None:
    def endless() -> Iterator[bytes]:
        for _ in range(BODY_LIMIT // 2**20 + 2):
            yield b"x" * 2**20

    with live.client() as client:
        answer = client.post("/api/v1/runs", content=endless(), headers={"Content-Type": "application/json"})
        assert (answer.status_code, answer.json()["code"]) == (413, "body_too_large")
        assert client.get("/api/v1/health").status_code == 200


def test_requests_of_a_foreign_page_reach_nothing_on_a_real_port(live: Live) -> None:
    with httpx.Client() as client:
        answer = client.get(live.url + "/api/v1/health", headers={"Host": "rebound.example"})
    assert answer.status_code == 403
