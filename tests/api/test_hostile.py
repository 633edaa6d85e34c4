"""Whatever is sent, a route answers with what it means, never with a mistake of ours."""

from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest
from starlette.testclient import TestClient

from tests.api.place import Place, add_dataset, add_run
from tunery.schemas.project import ProblemDocument

NASTY: list[Any] = [
    "",
    "\0",
    "x" * 3000,
    "😀",
    "'; DROP TABLE run; --",
    "../../etc/passwd",
    "<script>alert(1)</script>",
    "%s{0}{x}",
    "null",
    "1e999",
    10**30,
    -(10**30),
    -1,
    0,
    2**63,
    1.5,
]
BODIES: list[Any] = [None, [], {}, "", 1, {"name": None}, {"__proto__": {}}, [[]] * 50]
REAL = {
    "dataset": "rows",
    "run": "run_1",
    "version": "1",
    "name": "toy",
    "model": "m",
    "task": "t",
    "evaluation": "e",
}


@pytest.fixture(scope="module")
def client(module_place: Place, module_client: TestClient) -> TestClient:
    add_dataset(module_place)
    add_run(module_place)
    return module_client


def operations(client: TestClient) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, methods in client.get("/api/openapi.json").json()["paths"].items():
        for method, operation in methods.items():
            yield method.upper(), path, operation


def parameters(operation: dict[str, Any], where: str) -> list[str]:
    return [one["name"] for one in operation.get("parameters", []) if one["in"] == where]


def address(path: str, **given: str) -> str:
    for name, value in {**REAL, "token": "t", **given}.items():
        path = path.replace(f"{{{name}}}", quote(value, safe=""))
    return path


def check(client: TestClient, method: str, target: str, **more: Any) -> None:
    if target.endswith("/stream"):
        return
    answer = client.request(method, target, **more)
    assert answer.status_code < 500, (method, target[:200], more, answer.text[:300])
    if answer.status_code >= 400 and method != "HEAD":
        problem = ProblemDocument.model_validate(answer.json())
        assert problem.message
        assert problem.cure


def test_paths(client: TestClient) -> None:
    for method, path, operation in operations(client):
        if method == "DELETE":
            continue
        for name in parameters(operation, "path"):
            for value in NASTY:
                check(client, method, address(path, **{name: str(value)}))


def test_queries(client: TestClient) -> None:
    tried = 0
    for method, path, operation in operations(client):
        for name in parameters(operation, "query"):
            for value in NASTY:
                check(client, method, address(path) + f"?{name}={quote(str(value))}")
                tried += 1
    assert tried > 150


def test_headers(client: TestClient) -> None:
    for method, path, operation in operations(client):
        for name in parameters(operation, "header"):
            for value in ("", "x" * 3000, "-1", "1" * 40, "\xff"):
                check(client, method, address(path), headers={name: value.encode("latin-1")})


def test_bodies(client: TestClient) -> None:
    for method, path, operation in operations(client):
        if "requestBody" not in operation:
            continue
        for body in BODIES:
            check(client, method, address(path), json=body)
        for raw in (b"", b"{", b"\xff\xfe", b"[" * 100_000, b'{"a":' * 20_000, b"NaN", b'"\\ud800"'):
            check(client, method, address(path), content=raw, headers={"Content-Type": "application/json"})


@pytest.mark.parametrize("value", NASTY)
def test_fields_of_a_spec(client: TestClient, value: Any) -> None:
    good: dict[str, Any] = {"base_model": "b", "data": {"train": ["rows"]}}
    for field in (
        "name",
        "description",
        "task",
        "method",
        "base_model",
        "data",
        "settings",
        "preset",
        "evaluate",
    ):
        check(client, "POST", "/api/v1/runs", json={**good, field: value})
    for ref in (
        {"dataset": value},
        {"dataset": "rows", "version": value},
        {"path": value},
        {"dataset": "rows", "format": value},
    ):
        check(client, "POST", "/api/v1/runs", json={**good, "data": {"train": [ref]}})
    check(client, "POST", "/api/v1/runs", json={**good, "settings": {"learning_rate": value, "seed": value}})
    for field in ("run", "name", "step"):
        check(client, "POST", "/api/v1/models", json={"run": "run_1", field: value})
    for field in ("path", "name", "licence"):
        check(client, "POST", "/api/v1/base-models", json={"path": "/nowhere", field: value})
