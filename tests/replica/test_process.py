"""The replica as a process of its own: its socket, its adapters, its end."""

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.patience import PATIENCE, wait
from tests.replica.models import Models, make_adapter
from tunery.core.process import ProcessIdentity


def _command(base: Path, address: Path) -> list[str]:
    arguments = ["--base", str(base), "--socket", str(address), "--threads", "1", "--dtype", "float32"]
    return [sys.executable, "-m", "tunery.replica", *arguments]


@pytest.fixture(scope="module")
def sockets() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="tunery-") as folder:
        yield Path(folder)


@pytest.fixture(scope="module")
def replica(models: Models, sockets: Path) -> Iterator[httpx.Client]:
    address = sockets / "replica.sock"
    with subprocess.Popen(_command(models.base, address)) as process:
        _wait_until_ready(address, process)
        transport = httpx.HTTPTransport(uds=str(address))
        with httpx.Client(transport=transport, base_url="http://replica", timeout=PATIENCE) as client:
            assert client.get("/health").json()["status"] == "ok"
            yield client
        process.terminate()
        assert (
            process.wait(PATIENCE) == -signal.SIGTERM
        )  # uvicorn ends what is open, then dies of the signal it got


def _wait_until_ready(address: Path, process: subprocess.Popen[bytes]) -> None:
    def ready() -> bool:
        assert process.poll() is None
        with socket.socket(socket.AF_UNIX) as probe:
            return probe.connect_ex(str(address)) == 0

    wait("the replica to be ready", ready)


def _ask(client: httpx.Client, **body: Any) -> list[dict[str, Any]]:
    asked = {"messages": [{"role": "user", "content": "What is the red house?"}], "temperature": 0, **body}
    response = client.post("/generate", json=asked)
    if response.status_code != 200:
        return [{"status": response.status_code, **response.json()}]
    return [json.loads(line) for line in response.text.split("\n") if line]


def _text(lines: list[dict[str, Any]]) -> str:
    assert lines[-1]["type"] == "end", lines
    return "".join(line["text"] for line in lines[:-1])


def test_an_answer_is_pieces_and_an_end(replica: httpx.Client) -> None:
    lines = _ask(replica, max_tokens=12)
    assert _text(lines)
    assert lines[-1]["finish_reason"] in ("length", "stop")
    assert lines[-1]["completion_tokens"] <= 12
    assert _ask(replica, max_tokens=12) == lines


def test_sampling_follows_the_seed(replica: httpx.Client) -> None:
    def answer(seed: int) -> str:
        return _text(_ask(replica, max_tokens=16, temperature=1.0, seed=seed))

    assert answer(1) == answer(1)
    assert answer(1) != answer(2)


def test_a_stop_sequence_is_cut_off(replica: httpx.Client) -> None:
    whole = _text(_ask(replica, max_tokens=24))
    stop = whole[len(whole) // 2 : len(whole) // 2 + 3]
    lines = _ask(replica, max_tokens=24, stop=[stop])
    assert _text(lines) == whole[: whole.index(stop)]
    assert lines[-1]["finish_reason"] == "stop"


def test_logprobs_come_with_every_token(replica: httpx.Client) -> None:
    lines = _ask(replica, max_tokens=8, logprobs=3)
    found = [token for line in lines[:-1] for token in line["logprobs"]]
    ended = lines[-1]["finish_reason"] == "stop"
    assert len(found) == lines[-1]["completion_tokens"] - ended
    assert all(
        token["logprob"] <= 0 and token["top"][0][1] == pytest.approx(token["logprob"]) for token in found
    )


def test_a_prompt_must_fit_the_context(replica: httpx.Client) -> None:
    (problem,) = _ask(replica, messages=[{"role": "user", "content": "house " * 400}])
    assert (problem["status"], problem["code"]) == (400, "context_length_exceeded")
    (problem,) = _ask(replica, max_tokens=10_000)
    assert (problem["status"], problem["code"]) == (400, "context_length_exceeded")
    assert problem["params"]["limit"] == 256


def test_an_unknown_adapter_is_never_the_base(replica: httpx.Client) -> None:
    (problem,) = _ask(replica, adapter="nobody")
    assert (problem["status"], problem["code"]) == (404, "unknown_adapter")


def test_adapters_answer_side_by_side_as_they_do_alone(
    replica: httpx.Client, models: Models, tmp_path: Path
) -> None:
    for name, path in (
        ("first:1.0", models.first),
        ("second:1.0", models.second),
        ("first:1.0", models.first),
    ):
        assert replica.post("/adapters", json={"name": name, "path": str(path)}).status_code == 204
    other = make_adapter(tmp_path / "other", seed=9)
    taken = replica.post("/adapters", json={"name": "first:1.0", "path": str(other)})
    assert (taken.status_code, taken.json()["code"]) == (409, "name_taken")
    names = [None, "first:1.0", "second:1.0"]
    alone = {name: _ask(replica, adapter=name, max_tokens=40) for name in names}
    assert len({_text(lines) for lines in alone.values()}) == 3
    with ThreadPoolExecutor(9) as threads:
        mixed = names * 3
        together = list(threads.map(lambda name: _ask(replica, adapter=name, max_tokens=40), mixed))
    assert [_text(lines) for lines in together] == [_text(alone[name]) for name in mixed]


def test_an_adapter_in_use_is_unloaded_when_its_answer_ends(replica: httpx.Client, models: Models) -> None:
    replica.post("/adapters", json={"name": "leaving", "path": str(models.first)})
    body = {
        "adapter": "leaving",
        "messages": [{"role": "user", "content": "Go on."}],
        "temperature": 0,
        "max_tokens": 200,
    }
    unloaded: list[int] = []
    with replica.stream("POST", "/generate", json=body) as answer:
        lines = answer.iter_lines()
        first = json.loads(next(lines))
        thread = threading.Thread(
            target=lambda: unloaded.append(replica.delete("/adapters/leaving").status_code)
        )
        thread.start()
        rest = [json.loads(line) for line in lines]
    thread.join(PATIENCE)
    assert first["type"] == "text"
    assert rest[-1]["type"] == "end"
    assert unloaded == [204]
    assert "leaving" not in replica.get("/health").json()["adapters"]
    assert _ask(replica, adapter="leaving")[0]["code"] == "unknown_adapter"


def test_an_adapter_with_pickled_weights_is_refused(
    replica: httpx.Client, models: Models, tmp_path: Path
) -> None:
    folder = tmp_path / "pickled"
    folder.mkdir()
    (folder / "adapter_config.json").write_bytes((models.first / "adapter_config.json").read_bytes())
    (folder / "adapter_model.bin").write_bytes(b"\x80\x04.")
    refused = replica.post("/adapters", json={"name": "pickled", "path": str(folder)})
    assert (refused.status_code, refused.json()["code"]) == (422, "adapter_unusable")


def test_an_answer_nobody_waits_for_is_dropped(replica: httpx.Client) -> None:
    # A random model may end an answer at once: try until one is caught while it goes on.
    for seed in range(100):
        body = {"messages": [{"role": "user", "content": "Go on."}], "seed": seed, "max_tokens": 200}
        with replica.stream("POST", "/generate", json=body) as answer:
            next(answer.iter_lines())
            if replica.get("/health").json()["running"] == 1:
                break
    else:
        pytest.fail("no answer was long enough to be dropped")
    wait("the answer to be dropped", lambda: not replica.get("/health").json()["running"])


def test_a_folder_that_is_no_model_is_told_in_the_last_line(tmp_path: Path, sockets: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    ended = subprocess.run(
        _command(tmp_path, sockets / "none.sock"), capture_output=True, timeout=PATIENCE, check=False
    )
    assert ended.returncode == 1
    problem = json.loads(ended.stdout.splitlines()[-1])["problem"]
    assert problem["code"] == "model_folder_incomplete"
    assert b"Traceback" not in ended.stderr


def test_it_ends_with_the_process_that_started_it(models: Models, sockets: Path) -> None:
    command = _command(models.base, sockets / "orphan.sock")
    starter = (
        "import os, subprocess, time;"
        f"print(subprocess.Popen([*{command!r}, '--parent', str(os.getpid())]).pid, flush=True); time.sleep(600)"
    )
    with subprocess.Popen([sys.executable, "-c", starter], stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        child = ProcessIdentity.of(int(parent.stdout.readline()))
        assert child is not None
        wait("the request", lambda: _asked_to_die_with_parent(child.pid))
        os.kill(parent.pid, signal.SIGKILL)
    wait("its end", lambda: not child.alive())


def _asked_to_die_with_parent(pid: int) -> bool:
    """Once torch is being imported, the request to die with the parent has been made."""
    return b"/torch/" in Path(f"/proc/{pid}/maps").read_bytes()
