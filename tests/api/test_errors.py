"""Errors: one shape, the place named, nothing of the inside shown."""

import logging

import pytest
from sqlalchemy.exc import OperationalError
from starlette.testclient import TestClient

from tests.api.place import BASE, Place
from tunery.core.error_kinds import KINDS
from tunery.schemas.dataset import ImportRequest
from tunery.schemas.project import ProblemDocument
from tunery.services import runs

SECRET = "hunter2-in-the-body"


@pytest.fixture(scope="module")
def place(module_place: Place) -> Place:
    return module_place


@pytest.fixture(scope="module")
def client(module_client: TestClient) -> TestClient:
    return module_client


def test_invalid_json_is_placed(client: TestClient) -> None:
    answer = client.post(
        "/api/v1/runs", content=b'{"method": nope}', headers={"Content-Type": "application/json"}
    )
    problem = ProblemDocument.model_validate(answer.json())
    assert (answer.status_code, problem.code) == (422, "invalid_request")
    assert problem.where["offset"] == 11


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "base_model"),
        ({"base_model": "m", "data": {"train": "d"}, "evaluate": {"max_rows": 0}}, "evaluate.max_rows"),
        ({"base_model": "m", "data": {"train": "d"}, "surprise": SECRET}, "surprise"),
        (
            {"base_model": "m", "data": {"train": [{"dataset": "d", "version": SECRET}]}},
            "data.train.0.version",
        ),
        ([], None),
    ],
)
def test_wrong_fields_are_named_and_values_not_repeated(
    client: TestClient, body: object, field: str | None
) -> None:
    answer = client.post("/api/v1/runs", json=body)
    problem = ProblemDocument.model_validate(answer.json())
    assert problem.code == "invalid_request"
    if field is not None:
        assert problem.where["field"] == field
        assert field in problem.message
    assert SECRET not in answer.text


def test_every_wrong_field_is_named_in_plain_words(client: TestClient) -> None:
    body = {"data": "d", "evaluate": {"max_rows": 0, "metrics": 3}, "colour": "red"}
    answer = client.post("/api/v1/runs/resolve", json=body)
    problem = ProblemDocument.model_validate(answer.json())
    told = {part.where["field"]: part.message for part in problem.errors}
    assert told == {
        "base_model": "base_model: it is missing.",
        "evaluate.metrics": "evaluate.metrics: it must be a list.",
        "evaluate.max_rows": "evaluate.max_rows: it must be at least 1.",
        "colour": "colour: there is no such field.",
    }


def test_a_single_problem_is_in_the_list_of_errors_too(client: TestClient) -> None:
    document = client.get("/api/v1/runs/none").json()
    assert [part["code"] for part in document["errors"]] == ["not_found"]
    assert "tunery" not in document["cure"]


@pytest.mark.parametrize(
    "path",
    [
        "/runs?limit=0",
        "/runs?limit=101",
        "/runs?state=sleeping",
        "/datasets?limit=many",
        "/runs/x/events?after=-1",
        "/runs/x/metrics?points=1",
        "/datasets/x/versions/one",
        "/datasets/x/versions/1/rows?offset=-1",
        "/datasets/x/versions/1/rows?limit=100000",
    ],
)
def test_wrong_parameters(client: TestClient, path: str) -> None:
    answer = client.get("/api/v1" + path)
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request")


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/runs/none"),
        ("GET", "/runs/none/events"),
        ("GET", "/runs/none/stream"),
        ("GET", "/runs/none/log"),
        ("GET", "/runs/none/metrics"),
        ("GET", "/runs/none/checkpoints"),
        ("POST", "/runs/none/stop"),
        ("POST", "/runs/none/pause"),
        ("POST", "/runs/none/resume"),
        ("POST", "/runs/none/cancel"),
        ("GET", "/datasets/none"),
        ("GET", "/datasets/none/versions"),
        ("GET", "/datasets/none/versions/1"),
        ("GET", "/datasets/none/versions/1/rows"),
        ("GET", "/datasets/none/versions/1/quarantine"),
        ("POST", "/datasets/none/versions/1/publish"),
        ("DELETE", "/datasets/none"),
        ("GET", "/models/none"),
        ("GET", "/models/none/versions"),
        ("GET", "/tasks/none"),
        ("GET", "/evaluations/none"),
        ("GET", "/evaluations/none/rows"),
        ("GET", "/datasets/..%2F..%2Fetc%2Fpasswd"),
        ("GET", "/runs/%00"),
        ("DELETE", "/tokens/none"),
    ],
)
def test_what_is_not_there(client: TestClient, method: str, path: str) -> None:
    answer = client.request(method, "/api/v1" + path)
    problem = ProblemDocument.model_validate(answer.json())
    assert answer.status_code == 404
    assert problem.code in ("not_found", "no_such_address")
    assert problem.message
    assert problem.cure


def test_a_mistake_of_ours_shows_a_reference_and_nothing_else(
    place: Place, client: TestClient, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("/secret/path exploded")

    monkeypatch.setattr(runs, "list_runs", broken)
    with caplog.at_level(logging.ERROR):
        answer = client.get("/api/v1/runs")
    problem = ProblemDocument.model_validate(answer.json())
    assert (answer.status_code, problem.code) == (500, "internal")
    assert "secret" not in answer.text
    assert "Traceback" not in answer.text
    assert problem.params["reference"] in caplog.text
    assert "/secret/path exploded" in caplog.text
    assert answer.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize(
    "error",
    [
        OSError(28, "No space left on device"),
        OperationalError("INSERT", {}, Exception("database or disk is full")),
    ],
)
def test_a_full_disk_is_said_to_be_one(
    client: TestClient, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def full(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(runs, "list_runs", full)
    answer = client.get("/api/v1/runs")
    assert (answer.status_code, answer.json()["code"]) == (507, "disk_full")


def test_each_surface_shows_errors_its_own_way(place: Place) -> None:
    with TestClient(place.app, base_url=BASE, follow_redirects=False) as client:
        assert client.get("/api/v1/runs").json()["code"] == "not_authenticated"
        assert client.get("/v1/models").json()["error"]["code"] == "invalid_api_key"
        assert client.get("/runs").headers["location"] == "/login?next=/runs"


def test_the_description_names_every_route_once_with_its_error(client: TestClient) -> None:
    document = client.get("/api/openapi.json").json()
    assert all(path.startswith("/api/v1/") for path in document["paths"])
    operations = [operation for path in document["paths"].values() for operation in path.values()]
    names = [operation["operationId"] for operation in operations]
    assert len(set(names)) == len(names) > 30
    for operation in operations:
        assert operation["tags"]
        assert operation["description"]
        shape = operation["responses"]["default"]["content"]["application/json"]["schema"]
        assert shape == {"$ref": "#/components/schemas/ProblemDocument"}
        assert "422" not in operation["responses"]
        opened = operation["operationId"] == "get_health"
        assert ("security" in operation) is not opened
    assert document["components"]["securitySchemes"]["HTTPBearer"]["scheme"] == "bearer"
    form = document["paths"]["/api/v1/datasets"]["post"]["requestBody"]["content"]["multipart/form-data"]
    assert {"file", "name"} | set(ImportRequest.model_fields) == set(form["schema"]["properties"])


def test_every_error_has_a_sentence_and_a_status() -> None:
    assert all(400 <= kind.status < 600 and kind.says for kind in KINDS.values())
