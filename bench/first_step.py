"""How long it takes from submitting a run to its first training step, and where the time goes.

    python -m bench.first_step [--rounds 3] [--rows 3000]

Starts a server with the starter model and rows of the sample task, and submits runs through the client: cold ones,
for which no engine waits, and warm ones, for which one does. Times come from the database, the attempt folder and the
engine's events, all by one clock. Writes bench/results/first_step.json.
"""

import argparse
import contextlib
import json
import os
import platform
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from tunery.core.attempt import attempt_folder, run_data_folder
from tunery.core.clock import MICROSECONDS, now_us
from tunery.core.process import ProcessIdentity
from tunery.sdk.client import Client
from tunery.starter import sample
from tunery.starter.place import MODEL_NAME

RESULT = Path(__file__).parent / "results" / "first_step.json"
_PATIENCE_SECONDS = 120
_DATASET = "bench-rows"


def main() -> None:
    """Measure, print, write the result."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--rows", type=int, default=3000)
    options = parser.parse_args()
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        for kind in ("cold", "warm"):
            rounds = measure(Path(folder) / kind, kind, options.rounds, options.rows)
            found[kind] = {name: round(median(one[name] for one in rounds), 3) for name in rounds[0]}
            found[kind]["slowest"] = max(one["first step"] for one in rounds)
            sys.stdout.write(f"{kind}: {found[kind]}\n")
    machine = {"processors": os.cpu_count(), "python": platform.python_version(), "load": os.getloadavg()[0]}
    RESULT.parent.mkdir(parents=True, exist_ok=True)
    RESULT.write_text(json.dumps({"options": vars(options), "machine": machine, **found}, indent=2) + "\n")


def measure(folder: Path, kind: str, rounds: int, rows: int) -> list[dict[str, float]]:
    """Seconds from submitting until each thing had happened, of each round."""
    folder.mkdir()
    with _server(folder, standby=int(kind == "warm")) as house:
        # The last rows of a written sample are held out; here there is no use for them.
        sample.write(folder / "rows", 0, rows, 1)
        house.client.datasets.create(folder / "rows" / "train.jsonl", name=_DATASET)
        house.client.datasets.wait(_DATASET)
        return [_round(house, kind) for _ in range(rounds)]


@dataclass
class _House:
    client: Client
    data: Path


@contextlib.contextmanager
def _server(folder: Path, standby: int) -> Iterator[_House]:
    data = folder / "data"
    chosen = {"TUNERY_DATA": str(data), "TUNERY_STANDBY_ENGINES": str(standby)}
    process = subprocess.Popen(
        [sys.executable, "-m", "tunery.cli", "up", "--port", "0", "--json"],
        env={**os.environ, **chosen, "TUNERY_CONFIG": str(folder / "client.json")},
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        said = ""
        while not said.endswith("}\n"):
            said += process.stdout.readline()
        told = json.loads(said)
        with Client(told["url"], told["token"]) as client:
            yield _House(client, data)
    finally:
        process.terminate()
        process.wait(30)


def _round(house: _House, kind: str) -> dict[str, float]:
    if kind == "warm":
        _wait(lambda: _waiting(house.data))
    spec = {
        "base_model": MODEL_NAME,
        "data": _DATASET,
        "settings": {"max_steps": 3, "logging_steps": 1, "epochs": 1},
        "publish": {"auto": False},
    }
    submitted = now_us()
    run = house.client.runs.create(spec).id
    answered = now_us()
    seen = 0
    for event in house.client.runs.stream(run):
        if event.type == "metric":
            seen = now_us()
            break
    _wait(lambda: house.client.runs.get(run).state in ("succeeded", "failed"))
    assert house.client.runs.get(run).state == "succeeded", house.client.runs.get(run).reason
    times = {"answered": answered, **_timeline(house.data, run), "seen by the client": seen}
    return {name: round((at - submitted) / MICROSECONDS, 3) for name, at in times.items()}


def _timeline(data: Path, run: str) -> dict[str, int]:
    """When each thing had happened."""
    folder = attempt_folder(data, run, 1)
    events, _ = folder.read_events()
    with contextlib.closing(sqlite3.connect(data / "tunery.db")) as database:
        claimed = database.execute("SELECT started FROM task WHERE run_id = ? AND kind = 'train'", [run])
        found = {"claimed": int(claimed.fetchone()[0])}
    found["rows laid out"] = _written(run_data_folder(data, run) / "train.arrow")
    found["engine chosen"] = _written(folder.process)
    found["model and plan ready"] = next(one["time"] for one in events if one["type"] == "started")
    found["first step"] = next(one["time"] for one in events if one["type"] == "metric")
    return found


def _written(path: Path) -> int:
    return path.stat().st_mtime_ns // 1000


def _waiting(data: Path) -> bool:
    """Whether an engine waits with everything imported: then it sleeps."""
    path = data / "standby.json"
    if not path.exists():
        return False
    processes: list[dict[str, Any]] = json.loads(path.read_text())["processes"]
    return any(ProcessIdentity(**one).alive() and _sleeps(one["pid"]) for one in processes)


def _sleeps(pid: int) -> bool:
    """It used no processor time for a second."""
    before = Path(f"/proc/{pid}/stat").read_text().split()[13]
    time.sleep(1)
    return Path(f"/proc/{pid}/stat").read_text().split()[13] == before


def _wait(ready: Any) -> None:
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while not ready():
        assert time.monotonic() < deadline, "it doesn't get on"
        time.sleep(0.05)


if __name__ == "__main__":
    main()
