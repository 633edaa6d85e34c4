"""Client and AsyncClient against a whole server with a worker and the fake engine."""

import asyncio
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.patience import PATIENCE, wait
from tests.sdk.cutting_proxy import cutting_proxy
from tests.served import CLOSED, Served
from tunery.core.errors import Problem
from tunery.schemas.run import RunSpec
from tunery.sdk.client import AsyncClient, Client


@pytest.fixture
def dataset(served: Served, client: Client) -> str:
    if not any(one.name == "rows" for one in client.datasets.list(limit=100).data):
        client.datasets.create(served.folder / "rows.jsonl", name="rows")
        client.datasets.wait("rows", timeout=PATIENCE)
    return "rows"


def spec(served: Served, steps: int = 12) -> RunSpec:
    fields = {"base_model": str(served.folder / "bare"), "data": "rows", "settings": {"max_steps": steps}}
    return RunSpec.model_validate({**fields, "name": "counting"})


def test_dataset_from_file_to_rows(served: Served, client: Client) -> None:
    seen: list[tuple[int, int]] = []
    path = served.folder / "rows.jsonl"
    made = client.datasets.create(
        path, name="fresh", publish=False, progress=lambda done, all: seen.append((done, all))
    )
    assert made.name == "fresh"
    assert seen[-1] == (path.stat().st_size, path.stat().st_size)
    version = client.datasets.wait("fresh", timeout=PATIENCE)
    assert (version.state, version.rows) == ("draft", 120)
    assert version.report is not None
    assert version.report.rows_accepted == 120
    assert client.datasets.publish("fresh", 1).state == "published"
    page = client.datasets.rows("fresh", 1, offset=118)
    assert (len(page.rows), page.total) == (2, 120)
    assert [v.version for v in client.datasets.versions("fresh")] == [1]
    client.datasets.delete("fresh")
    with pytest.raises(Problem, match="no dataset “fresh”"):
        client.datasets.get("fresh")


def test_import_that_fails_raises_its_reason(client: Client, tmp_path: Path) -> None:
    broken = tmp_path / "cut.json"
    broken.write_text('[{"instruction": "a", "output": "b"}, {"instr')
    client.datasets.create(broken, name="cut")
    with pytest.raises(Problem) as caught:
        client.datasets.wait("cut", timeout=PATIENCE)
    assert caught.value.code == "json_broken"
    with pytest.raises(Problem, match="no file"):
        client.datasets.create(tmp_path / "missing.jsonl", name="missing")


def test_run_from_spec_to_end(served: Served, client: Client, dataset: str) -> None:
    resolved = client.runs.resolve(spec(served))
    assert resolved.origins["max_steps"] == "user"
    run = client.runs.create(spec(served))
    ended = client.runs.wait(run.id, timeout=PATIENCE, poll=0.2)
    assert (ended.state, ended.progress.step) == ("succeeded", 12)
    assert ended.resolved.spec.settings["max_steps"] == 12
    assert run.id in [one.id for one in client.runs.list(name="counting").data]
    (loss,) = client.runs.metrics(run.id, ["train_loss"])
    assert loss.steps == list(range(1, 13))
    assert client.runs.checkpoints(run.id)
    assert client.runs.log(run.id).attempt == 1


def test_stream_has_no_gap_when_connections_break(served: Served, client: Client, dataset: str) -> None:
    run = client.runs.create(spec(served, steps=60))
    with cutting_proxy(served.url, first=1500, more=800) as proxy, Client(proxy.url, served.token) as cut:
        streamed = list(cut.runs.stream(run.id))
        assert proxy.cuts >= 3
    recorded = client.runs.events(run.id)
    assert [event.id for event in streamed] == [event.id for event in recorded]
    assert sum(event.type == "metric" for event in streamed) == 60
    assert [event.id for event in client.runs.stream(run.id, after=recorded[-3].id)] == [
        e.id for e in recorded[-2:]
    ]


def test_pause_resume_stop_cancel(served: Served, client: Client, dataset: str) -> None:
    run = client.runs.create(spec(served, steps=100_000))
    stream = client.runs.stream(run.id)
    next(event for event in stream if event.step >= 3)
    client.runs.pause(run.id)
    assert next(event for event in stream if event.type == "finished").body["status"] == "paused"
    until(client, run.id, "paused")
    client.runs.resume(run.id)
    until(client, run.id, "running")
    client.runs.stop(run.id)
    assert client.runs.wait(run.id, timeout=PATIENCE, poll=0.2).state == "stopped"
    with pytest.raises(Problem) as caught:
        client.runs.resume(run.id)
    assert caught.value.code == "not_in_state"
    other = client.runs.create(spec(served, steps=100_000))
    client.runs.cancel(other.id)
    assert client.runs.wait(other.id, timeout=PATIENCE, poll=0.2).state == "cancelled"


def until(client: Client, run: str, state: str) -> None:
    wait(state, lambda: client.runs.get(run).state == state, pause=0.1)


def test_same_key_is_one_run(served: Served, client: Client, dataset: str) -> None:
    first = client.runs.create(spec(served, steps=1), idempotency_key="once")
    again = client.runs.create(spec(served, steps=1), idempotency_key="once")
    assert first.id == again.id
    with pytest.raises(Problem) as caught:
        client.runs.create(spec(served, steps=2), idempotency_key="once")
    assert caught.value.code == "idempotency_conflict"


def test_errors_come_back_as_problems(served: Served, client: Client, dataset: str) -> None:
    with pytest.raises(Problem) as caught:
        client.runs.create({"base_model": "nowhere", "data": "rows"})
    assert caught.value.code == "unknown_base_model"
    with pytest.raises(Problem) as caught:
        client.runs.create({**spec(served).model_dump(exclude_unset=True), "settings": {"learning_rate": 1}})
    assert caught.value.where.setting == "learning_rate"
    with Client(served.url, "tnr_wrong") as stranger, pytest.raises(Problem) as caught:
        stranger.runs.list()
    assert caught.value.code == "not_authenticated"
    with pytest.raises(Problem) as caught:
        list(client.runs.stream("run_nowhere"))
    assert caught.value.code == "not_found"
    with pytest.raises(Problem) as caught:
        client.chat("nowhere", "Hello")
    assert "nowhere" in caught.value.message
    with pytest.raises(Problem):
        list(client.chat("nowhere", "Hello", stream=True))


def test_tokens(served: Served, client: Client) -> None:
    made = client.tokens.create("second")
    with Client(served.url, made.token) as second:
        assert made.id in [token.id for token in second.tokens.list()]
        client.tokens.revoke(made.id)
        with pytest.raises(Problem) as caught:
            second.tokens.list()
    assert caught.value.code == "not_authenticated"


def test_base_models_and_extensions(served: Served, client: Client) -> None:
    entry = client.base_models.add(str(served.folder / "bare"), name="own", licence="MIT")
    assert entry.available
    assert client.base_models.get("own").licence == "MIT"
    assert "own" in [base.name for base in client.base_models.list().data]
    assert {"sft", "pretrain"} <= {method.name for method in client.extensions.methods()}
    assert client.health().status == "ok"


def test_async_client_does_the_same(served: Served, client: Client, dataset: str) -> None:
    async def story() -> None:
        async with AsyncClient(served.url, served.token) as client:
            await client.datasets.create(served.folder / "rows.jsonl", name="async-rows")
            assert (await client.datasets.wait("async-rows", timeout=PATIENCE)).rows == 120
            run = await client.runs.create(spec(served, steps=20))
            with cutting_proxy(served.url, first=1500, more=800) as proxy:
                async with AsyncClient(proxy.url, served.token) as cut:
                    streamed = [event async for event in cut.runs.stream(run.id)]
                assert proxy.cuts
            recorded = await client.runs.events(run.id)
            assert [event.id for event in streamed] == [event.id for event in recorded]
            assert (await client.runs.wait(run.id)).state == "succeeded"
            assert (await client.health()).status == "ok"
            with pytest.raises(Problem) as caught:
                await client.runs.get("run_nowhere")
            assert caught.value.code == "not_found"
            with pytest.raises(Problem):
                await client.chat("nowhere", "Hello")
        async with AsyncClient(CLOSED, "t") as lost:
            with pytest.raises(Problem) as caught:
                await lost.runs.list()
            assert caught.value.code == "no_server"

    asyncio.run(story())


def test_no_server() -> None:
    with Client(CLOSED, "t") as lost:
        with pytest.raises(Problem) as caught:
            lost.health()
        assert caught.value.code == "no_server"
        with pytest.raises(Problem):
            list(lost.runs.stream("run_x", patience=0))


class Foreign(BaseHTTPRequestHandler):
    """Not Tunery."""

    answers: tuple[int, bytes] = (502, b"<html>Bad gateway</html>")
    asked = 0

    def do_GET(self) -> None:
        type(self).asked += 1
        status, content = self.answers
        self.send_response(status)
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def foreign() -> Iterator[str]:
    httpd = ThreadingHTTPServer(("127.0.0.1", 0), Foreign)
    thread = threading.Thread(target=httpd.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{httpd.server_port}"
    httpd.shutdown()
    thread.join()
    httpd.server_close()


@pytest.mark.parametrize(
    ("status", "content", "code", "said"),
    [
        (502, b"<html>Bad gateway</html>", "foreign_answer", "status 502"),
        (
            409,
            b'{"code": "of_tomorrow", "message": "Too new.", "cure": "Wait."}',
            "refused",
            "Too new. Wait.",
        ),
        (409, b'{"code": "not_found", "message": "Gone.", "params": {"other": 1}}', "refused", "Gone."),
        (429, b'{"error": {"message": "Busy.", "code": "x", "type": "y"}}', "refused", "Busy."),
    ],
)
def test_answers_of_others(
    foreign: str, status: int, content: bytes, code: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Foreign, "answers", (status, content))
    with Client(foreign, "t") as client, pytest.raises(Problem) as caught:
        client.runs.list()
    assert caught.value.code == code
    assert said in caught.value.message


def test_fields_of_a_newer_server_are_passed_over(foreign: str, monkeypatch: pytest.MonkeyPatch) -> None:
    answer = {"status": "ok", "version": "9.9", "mood": "fine"}
    monkeypatch.setattr(Foreign, "answers", (200, json.dumps(answer).encode()))
    with Client(foreign, "t") as client:
        assert client.health().version == "9.9"
