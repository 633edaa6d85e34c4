"""OpenAI's own client, as it is, against /v1 on a port with a real replica behind it."""

import os
import signal
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest
from openai import OpenAI

from tests.openai.place import KEY, Live, targets_of
from tests.patience import PATIENCE, wait
from tests.ports import free_port
from tests.replica.models import Models, make_models
from tunery.core.errors import Problem
from tunery.services import serving

_QUESTION: list[Any] = [{"role": "user", "content": "What is the red house?"}]


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Models:
    return make_models(tmp_path_factory.mktemp("models"))


@pytest.fixture(scope="module")
def live(models: Models, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    folder = tmp_path_factory.mktemp("data")
    broken = folder / "broken"
    broken.mkdir()
    served = {target.name: target for target in targets_of(models, broken)}

    def find_target(_: object, name: str) -> Any:
        if name not in served:
            raise Problem("model_not_served", name=name)
        return served[name]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(serving, "find_target", find_target)
        patch.setattr(serving, "list_targets", lambda _: list(served.values()))
        live = Live(folder, free_port())
        live.start()
        yield live
        live.stop()


@pytest.fixture(scope="module")
def client(live: Live) -> Iterator[OpenAI]:
    with OpenAI(base_url=live.url, api_key=KEY, timeout=PATIENCE) as client:
        yield client


def _ask(client: OpenAI, model: str = "toy", **asked: Any) -> Any:
    return client.chat.completions.create(model=model, messages=_QUESTION, **{"temperature": 0, **asked})


def _running(live: Live) -> int:
    """Answers under way in the replica."""
    folder = live.edge.pool._sockets
    assert folder is not None
    (address,) = folder.glob("*.sock")
    with httpx.Client(transport=httpx.HTTPTransport(uds=str(address)), base_url="http://replica") as client:
        return client.get("/health").json()["running"]


def test_models_are_listed_with_their_base(client: OpenAI) -> None:
    found = {model.id: model for model in client.models.list()}
    assert list(found) == ["first:1", "org/second:1", "toy", "broken"]
    assert found["first:1"].created == 1_700_000_000
    assert found["first:1"].model_dump()["parent"] == "toy"
    assert "parent" not in found["toy"].model_dump()
    assert client.models.retrieve("org/second:1").id == "org/second:1"


def test_an_answer_whole_and_in_a_stream_is_the_same(client: OpenAI) -> None:
    whole = _ask(client, max_tokens=20)
    (choice,) = whole.choices
    assert choice.message.role == "assistant"
    assert choice.message.content
    assert whole.usage.total_tokens == whole.usage.prompt_tokens + whole.usage.completion_tokens
    chunks = list(_ask(client, max_completion_tokens=20, stream=True, stream_options={"include_usage": True}))
    assert chunks[0].choices[0].delta.role == "assistant"
    pieces = [chunk.choices[0].delta.content or "" for chunk in chunks[:-1]]
    assert "".join(pieces) == choice.message.content
    assert len([piece for piece in pieces if piece]) > 3
    assert chunks[-2].choices[0].finish_reason == choice.finish_reason
    assert chunks[-1].choices == []
    assert chunks[-1].usage == whole.usage
    assert len({chunk.id for chunk in chunks}) == 1


def test_adapters_asked_at_once_answer_as_they_do_alone(client: OpenAI) -> None:
    names = ["toy", "first:1", "org/second:1"]
    alone = {name: _ask(client, name, max_tokens=40).choices[0].message.content for name in names}
    assert len(set(alone.values())) == 3
    with ThreadPoolExecutor(9) as threads:
        together = list(threads.map(lambda name: _ask(client, name, max_tokens=40), names * 3))
    assert [answer.choices[0].message.content for answer in together] == [alone[name] for name in names * 3]
    assert [answer.model for answer in together] == names * 3


def test_stop_and_content_parts_and_harmless_fields(client: OpenAI) -> None:
    text = _ask(client, max_tokens=24).choices[0].message.content
    stop = text[8:11]
    parts: list[Any] = [
        {
            "role": "user",
            "content": [{"type": "text", "text": "What is the "}, {"type": "text", "text": "red house?"}],
        }
    ]
    answer = client.chat.completions.create(
        model="toy", messages=parts, max_tokens=24, temperature=0, stop=[stop, "never"],
        user="someone", metadata={"a": "b"}, store=False, n=1, presence_penalty=0,
    )  # fmt: skip
    assert answer.choices[0].message.content == text[: text.index(stop)]
    assert answer.choices[0].finish_reason == "stop"


def test_logprobs(client: OpenAI) -> None:
    answer = _ask(client, max_tokens=6, logprobs=True, top_logprobs=2)
    content = answer.choices[0].logprobs.content
    assert 5 <= len(content) <= 6
    assert all(len(token.top_logprobs) == 2 and token.logprob <= 0 for token in content)
    assert all(token.top_logprobs[0].token == token.token for token in content)


def test_a_wrong_key(live: Live) -> None:
    with OpenAI(base_url=live.url, api_key="tnr_wrong") as client:
        with pytest.raises(openai.AuthenticationError) as caught:
            _ask(client)
        assert caught.value.code == "invalid_api_key"
        with pytest.raises(openai.AuthenticationError):
            client.models.list()


def test_an_unknown_model(client: OpenAI) -> None:
    for call in (lambda: _ask(client, "nobody"), lambda: client.models.retrieve("nobody:7")):
        with pytest.raises(openai.NotFoundError) as caught:
            call()
        assert caught.value.code == "model_not_found"
        assert caught.value.param == "model"
        assert caught.value.request_id


@pytest.mark.parametrize(
    ("asked", "code", "param"),
    [
        ({"n": 2}, "unsupported_parameter", "n"),
        ({"frequency_penalty": 0.5}, "unsupported_parameter", "frequency_penalty"),
        ({"response_format": {"type": "json_object"}}, "unsupported_parameter", "response_format"),
        ({"tools": [{"type": "function", "function": {"name": "f"}}]}, "unsupported_parameter", "tools"),
        ({"max_tokens": 5000}, "context_length_exceeded", None),
        ({"temperature": 3}, "invalid_request", "temperature"),
        ({"top_logprobs": 2}, "invalid_request", "top_logprobs"),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
def test_what_can_not_be_done_is_refused_by_name(
    client: OpenAI, asked: dict[str, Any], code: str, param: str | None, stream: bool
) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        _ask(client, **asked, stream=stream)
    assert (caught.value.code, caught.value.param) == (code, param)


def test_an_image_is_refused(client: OpenAI) -> None:
    parts: list[Any] = [
        {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "http://127.0.0.1/x"}}]}
    ]
    with pytest.raises(openai.BadRequestError) as caught:
        client.chat.completions.create(model="toy", messages=parts)
    assert caught.value.code == "unsupported_parameter"


def test_a_model_that_does_not_load_is_said_once(client: OpenAI) -> None:
    with pytest.raises(openai.InternalServerError) as caught:
        _ask(client, "broken")
    assert (caught.value.status_code, caught.value.code) == (503, "replica_failed")
    assert caught.value.response.headers["x-should-retry"] == "false"
    assert "config.json" in caught.value.message


def test_no_transaction_is_open_while_a_model_answers(client: OpenAI, live: Live) -> None:
    with _ask(client, max_tokens=60, stream=True) as stream:
        next(iter(stream))
        assert live.edge.open_transactions == 0


@pytest.mark.parametrize("stream", [True, False])
def test_a_client_that_leaves_ends_its_answer(live: Live, stream: bool) -> None:
    body = {"model": "toy", "messages": _QUESTION, "seed": 1, "max_tokens": 230, "stream": stream}
    request = httpx.Request(
        "POST", f"{live.url}/chat/completions", json=body, headers={"authorization": f"Bearer {KEY}"}
    )
    head = "".join(f"{name}: {value}\r\n" for name, value in request.headers.items())
    address = (request.url.host, request.url.port)
    with socket.create_connection(address) as connection:
        connection.sendall(f"POST {request.url.path} HTTP/1.1\r\n{head}\r\n".encode() + request.read())
        if stream:
            assert connection.recv(100).startswith(b"HTTP/1.1 200")
    wait("the answer to be dropped", lambda: not _running(live))


def test_a_replica_killed_in_the_middle_is_told_and_replaced(
    client: OpenAI, live: Live, models: Models
) -> None:
    before = _ask(client, "first:1", max_tokens=12).choices[0].message.content
    pid = live.edge.pool.processes()[models.base]
    assert pid is not None
    with _ask(client, "first:1", max_tokens=230, stream=True, seed=1, temperature=1) as stream:
        chunks = iter(stream)
        for _ in range(3):
            next(chunks)
        os.kill(pid, signal.SIGKILL)
        with pytest.raises(openai.APIError) as caught:
            list(chunks)
        assert caught.value.code == "answer_broken_off"
    assert _ask(client, "first:1", max_tokens=12).choices[0].message.content == before
    assert live.edge.pool.processes()[models.base] != pid


def test_other_addresses_have_the_same_shape_of_error(live: Live) -> None:
    answer = httpx.get(f"{live.url}/nothing", headers={"authorization": f"Bearer {KEY}"})
    assert answer.status_code == 404
    assert set(answer.json()["error"]) == {"message", "type", "code", "param"}
    assert answer.headers["x-request-id"]


def test_logs_are_left(live: Live) -> None:
    logs = Path(live.edge.settings.folder / "logs")
    assert len(list(logs.glob("replica-*.log"))) == 2
