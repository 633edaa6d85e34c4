"""The token is seen once, by who started the server: in no log, no event, no error, no command line, no file."""

import contextlib
import json
import os
from pathlib import Path

import httpx
import pytest

from tests.jobs.house import alpaca, bare_model
from tests.patience import PATIENCE, wait
from tests.served import server

pytestmark = pytest.mark.e2e


def processes_of(data: Path) -> dict[int, bytes]:
    """Command lines of every process that has to do with a data folder: those named so, and their parents."""
    found: dict[int, bytes] = {}
    for path in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            line = (path / "cmdline").read_bytes()
            if os.fsencode(data) in line:
                found[int(path.name)] = line
                parent = int((path / "stat").read_text().rpartition(")")[2].split()[1])
                found[parent] = Path(f"/proc/{parent}/cmdline").read_bytes()
    return found


def test_no_secret_is_kept_or_told(tmp_path: Path) -> None:
    alpaca(tmp_path / "rows.jsonl", 120)
    base = bare_model(tmp_path)
    with server(tmp_path) as served:
        made = json.loads(served.tunery("token", "new", "ci", "--json").stdout)
        secrets = [served.token, made["token"], "tnr_canary_that_opens_nothing"]
        assert all(len(secret) > 20 for secret in secrets)
        answers: list[str] = []
        assert served.tunery("data", "import", "rows.jsonl", "--name", "rows").returncode == 0
        spec = {"base_model": str(base), "data": "rows", "settings": {"max_steps": 100_000}}
        run = ""
        for secret in secrets:
            key = {"Authorization": f"Bearer {secret}"}
            with httpx.Client(base_url=served.url, headers=key, timeout=PATIENCE) as client:
                for path in (
                    "/api/v1/runs",
                    "/api/v1/none",
                    f"/api/v1/runs?name={secret}",
                    "/v1/models",
                    "/",
                ):
                    answers.append(client.get(path).text)
                for body in ({**spec, secret: 1}, {**spec, "settings": {"epochs": secret}}, [secret]):
                    answers.append(client.post("/api/v1/runs", json={"token": secret}).text)
                    client.post("/api/v1/runs/resolve", json=body)
                answers.append(client.post("/login", data={"token": secret}).text)
                answers.append(client.post("/v1/chat/completions", json={"model": "x", "messages": []}).text)
                if secret == served.token:
                    run = client.post("/api/v1/runs", json=spec).json()["id"]
        with httpx.Client(base_url=served.url, headers={"Authorization": f"Bearer {served.token}"}) as client:
            wait("an engine", lambda: client.get(f"/api/v1/runs/{run}").json()["progress"]["step"] > 0)
            lines = processes_of(served.folder / "data")
            assert any(run.encode() in line for line in lines.values()), "an engine runs"
            assert any(b"tunery.jobs" in line for line in lines.values()), "a worker runs"
            client.post(f"/api/v1/runs/{run}/stop")
            wait("its end", lambda: client.get(f"/api/v1/runs/{run}").json()["state"] == "stopped")
            answers.append(client.get(f"/api/v1/runs/{run}/events?limit=1000").text)
            answers.append(client.get(f"/api/v1/runs/{run}/log").text)
            answers.append(client.get("/api/v1/tokens").text)
            assert served.process.pid in lines
        files = [path for path in (served.folder / "data").rglob("*") if path.is_file()]
        assert {"server.log", "worker.log", "events.jsonl", "tunery.db"} <= {path.name for path in files}
        # Read while the server runs, with the database's log of changes, and once more after its end.
        kept = [(str(path), path.read_bytes()) for path in files]
    kept += [(str(path), path.read_bytes()) for path in (tmp_path / "data").rglob("*") if path.is_file()]
    kept.append(("terminal", (tmp_path / "up.err").read_bytes()))
    for secret in secrets:
        told = secret.encode()
        assert [name for name, content in kept if told in content] == []
        assert [line for line in lines.values() if told in line] == []
        assert [text for text in answers if secret in text] == []
