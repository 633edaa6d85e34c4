"""The same request many times is one request."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import orjson
import pytest
from openai import OpenAI
from sqlalchemy import func, select
from starlette.testclient import TestClient

from tests.api.place import Live, Place, add_dataset
from tests.toys import toy_tokenizer
from tunery.db.engine import reading, writing
from tunery.db.tables import idempotency, run, task

SPEC = {"name": "once", "base_model": "toy", "data": "rows"}


@pytest.fixture
def ready(place: Place, tmp_path: Path) -> Place:
    """A base model and a published dataset version, enough to submit a run."""
    folder = tmp_path / "toy"
    toy_tokenizer(folder)
    config = {"architectures": ["LlamaForCausalLM"], "model_type": "llama", "max_position_embeddings": 256}
    (folder / "config.json").write_bytes(orjson.dumps(config))
    header = orjson.dumps({"w": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}})
    (folder / "model.safetensors").write_bytes(len(header).to_bytes(8, "little") + header + bytes(8))
    with TestClient(place.app, base_url="http://127.0.0.1", headers=place.key) as client:
        answer = client.post("/api/v1/base-models", json={"path": str(folder), "name": "toy"})
        assert answer.status_code == 201, answer.text
    add_dataset(place)
    return place


def count(place: Place, table) -> int:
    with reading(place.state.engine) as connection:
        return connection.scalar(select(func.count()).select_from(table)) or 0


def test_fifty_at_once_are_one_run(ready: Place, live: Live) -> None:
    headers = {"Idempotency-Key": "the same"}
    with live.client() as client, ThreadPoolExecutor(50) as pool:
        answers = list(pool.map(lambda _: client.post("/api/v1/runs", json=SPEC, headers=headers), range(50)))
    assert {answer.status_code for answer in answers} == {201}, answers[0].text
    assert len({answer.json()["id"] for answer in answers}) == 1
    assert sum("idempotent-replayed" in answer.headers for answer in answers) == 49
    assert count(ready, run) == count(ready, task) == count(ready, idempotency) == 1


def test_without_a_key_each_is_a_run(ready: Place, live: Live) -> None:
    with live.client() as client, ThreadPoolExecutor(10) as pool:
        answers = list(pool.map(lambda _: client.post("/api/v1/runs", json=SPEC), range(10)))
    assert sorted(answer.json()["number"] for answer in answers) == list(range(1, 11))
    assert count(ready, idempotency) == 0


def test_the_answer_is_the_same_later(ready: Place, client: TestClient) -> None:
    headers = {"Idempotency-Key": "k"}
    first = client.post("/api/v1/runs", json=SPEC, headers=headers)
    client.post(f"/api/v1/runs/{first.json()['id']}/cancel")
    again = client.post("/api/v1/runs", json=SPEC, headers=headers)
    assert again.json() == first.json()
    assert again.headers["idempotent-replayed"] == "true"


def test_a_key_belongs_to_one_request(ready: Place, client: TestClient) -> None:
    headers = {"Idempotency-Key": "k"}
    assert client.post("/api/v1/runs", json=SPEC, headers=headers).status_code == 201
    other = client.post("/api/v1/runs", json={**SPEC, "name": "other"}, headers=headers)
    assert (other.status_code, other.json()["code"]) == (409, "idempotency_conflict")
    assert count(ready, run) == 1


def test_a_request_that_failed_may_be_corrected_under_its_key(ready: Place, client: TestClient) -> None:
    headers = {"Idempotency-Key": "k"}
    wrong = client.post("/api/v1/runs", json={**SPEC, "base_model": "nonesuch"}, headers=headers)
    assert (wrong.status_code, wrong.json()["code"]) == (422, "unknown_base_model")
    assert count(ready, idempotency) == 0
    assert client.post("/api/v1/runs", json=SPEC, headers=headers).status_code == 201


@pytest.mark.parametrize("key", ["", "k" * 256])
def test_a_key_has_a_size(client: TestClient, key: str) -> None:
    answer = client.post("/api/v1/runs", json=SPEC, headers={"Idempotency-Key": key})
    assert answer.json()["where"]["field"].lower() == "idempotency-key"


class Losing(httpx.BaseTransport):
    """A network that loses the first answer: the server has done its work, and the client never hears of it."""

    def __init__(self) -> None:
        self._network = httpx.HTTPTransport()
        self.retries: list[str] = []

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        self.retries.append(request.headers["x-stainless-retry-count"])
        answer = self._network.handle_request(request)
        if len(self.retries) == 1:
            answer.read()
            answer.close()
            raise httpx.ReadTimeout("the answer is lost", request=request)
        return answer

    def close(self) -> None:
        self._network.close()


def creating(place: Place, live: Live, network: httpx.BaseTransport) -> Callable[[], str]:
    """Submits the run by OpenAI's own client, which repeats silently."""
    client = OpenAI(
        base_url=f"{live.url}/api/v1",
        api_key=place.key["Authorization"].removeprefix("Bearer "),
        http_client=httpx.Client(transport=network),
    )

    def create() -> str:
        answer = client.post("/runs", body=SPEC, cast_to=httpx.Response)
        return answer.json()["id"]

    return create


def test_openais_silent_repetition_is_no_second_run(ready: Place, live: Live) -> None:
    with Losing() as network:
        create = creating(ready, live, network)
        first = create()
        assert network.retries == ["0", "1"]
        assert count(ready, run) == count(ready, task) == 1
        # The same run once more, which somebody wants: it isn't a repetition.
        second = create()
        assert network.retries == ["0", "1", "0"]
    assert first != second
    assert count(ready, run) == 2


def test_fifty_silent_repetitions_at_once_are_one_run(ready: Place, live: Live) -> None:
    headers = {"X-Stainless-Retry-Count": "1"}
    with live.client() as client, ThreadPoolExecutor(50) as pool:
        answers = list(pool.map(lambda _: client.post("/api/v1/runs", json=SPEC, headers=headers), range(50)))
    assert len({answer.json()["id"] for answer in answers}) == 1
    assert count(ready, run) == 1


def test_an_old_answer_isnt_repeated(ready: Place, client: TestClient) -> None:
    headers = {"X-Stainless-Retry-Count": "1"}
    first = client.post("/api/v1/runs", json=SPEC, headers=headers).json()["id"]
    with writing(ready.state.engine) as connection:
        connection.execute(idempotency.update().values(created=idempotency.c.created - 181_000_000))
    assert client.post("/api/v1/runs", json=SPEC, headers=headers).json()["id"] != first
