"""How long it takes from submitting a run to its first training step, and where the time goes.

    python -m bench.first_step [--rounds 3] [--rows 3000] [--against OTHER_CHECKOUT/src]

Starts servers with the starter model and rows of the sample task, and submits runs through the client, in turns: cold
ones, for which no engine waits, warm ones, for which one does, and, where another checkout is given, cold ones there.
No run finds tokens that an earlier one made. Times come from the database, the attempt folder and the engine's
events, all by one clock; `engine cpu` is the processor time of the engine's process from the submission to its first
step, which doesn't depend on what else the machine does. Writes bench/results/first_step.json.
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
from collections.abc import Callable, Iterator
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
    parser.add_argument("--against", type=Path)
    options = parser.parse_args()
    found = {}
    for kind, rounds in measure(options.rounds, options.rows, options.against).items():
        found[kind] = {name: round(median(one[name] for one in rounds), 3) for name in rounds[0]}
        found[kind]["fastest"] = min(one["first step"] for one in rounds)
        found[kind]["slowest"] = max(one["first step"] for one in rounds)
        sys.stdout.write(f"{kind}: {found[kind]}\n")
    machine = {"processors": os.cpu_count(), "python": platform.python_version(), "load": os.getloadavg()[0]}
    RESULT.parent.mkdir(parents=True, exist_ok=True)
    asked = {"rounds": options.rounds, "rows": options.rows}
    RESULT.write_text(json.dumps({"options": asked, "machine": machine, **found}, indent=2) + "\n")


def measure(rounds: int, rows: int, against: Path | None) -> dict[str, list[dict[str, float]]]:
    """Seconds from submitting until each thing had happened, of each round, by kind of run."""
    kinds = {"cold": None, "warm": None, **({"other": against} if against else {})}
    found: dict[str, list[dict[str, float]]] = {kind: [] for kind in kinds}
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        # The last rows of a written sample are held out; here there is no use for them.
        sample.write(folder / "rows", 0, rows, 1)
        houses = {
            kind: stack.enter_context(_server(folder / kind, source, standby=int(kind == "warm")))
            for kind, source in kinds.items()
        }
        for house in houses.values():
            house.client.datasets.create(folder / "rows" / "train.jsonl", name=_DATASET)
            house.client.datasets.wait(_DATASET)
        for _ in range(rounds):
            for kind, house in houses.items():
                # What gets ready to wait, after the round before, isn't to take this one's time.
                _wait(lambda: _waiting(houses["warm"].data))
                found[kind].append(_round(house, kind))
    return found


@dataclass
class _House:
    client: Client
    data: Path


@contextlib.contextmanager
def _server(folder: Path, source: Path | None, standby: int) -> Iterator[_House]:
    folder.mkdir()
    data = folder / "data"
    chosen = {
        "TUNERY_DATA": str(data),
        "TUNERY_STANDBY_ENGINES": str(standby),
        "TUNERY_TOKEN_CACHE_BYTES": "0",
        **({"PYTHONPATH": str(source.absolute())} if source else {}),
    }
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
    spec = {
        "base_model": MODEL_NAME,
        "data": _DATASET,
        "settings": {"max_steps": 3, "logging_steps": 1, "epochs": 1},
        "publish": {"auto": False},
    }
    before = _processor_seconds(_standing_by(house.data)[0]["pid"]) if kind == "warm" else 0.0
    submitted = now_us()
    run = house.client.runs.create(spec).id
    answered = now_us()
    folder = attempt_folder(house.data, run, 1)
    _wait(lambda: any(event["type"] == "metric" for event in folder.read_events()[0]), 0.005)
    engine = ProcessIdentity.load(folder.process)
    assert engine is not None
    spent = _processor_seconds(engine.pid) - before
    next(event for event in house.client.runs.stream(run) if event.type == "metric")
    seen = now_us()
    _wait(lambda: house.client.runs.get(run).state in ("succeeded", "failed"))
    assert house.client.runs.get(run).state == "succeeded", house.client.runs.get(run).reason
    times = {"answered": answered, **_timeline(house.data, run), "seen by the client": seen}
    took = {name: round((at - submitted) / MICROSECONDS, 3) for name, at in times.items()}
    return {**took, "engine cpu": round(spent, 2)}


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


def _standing_by(data: Path) -> list[dict[str, Any]]:
    path = data / "standby.json"
    found = json.loads(path.read_text())["processes"] if path.exists() else []
    return [one for one in found if ProcessIdentity(**one).alive()]


def _waiting(data: Path) -> bool:
    """Whether an engine waits with everything imported: then nothing but the end of its imports is left to do."""
    return any(_processor_seconds(one["pid"]) > 1 and _sleeps(one["pid"]) for one in _standing_by(data))


def _sleeps(pid: int) -> bool:
    """It used no processor time for two seconds."""
    before = _processor_seconds(pid)
    time.sleep(2)  # the very time in question
    return _processor_seconds(pid) == before


def _processor_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _wait(ready: Callable[[], bool], pause: float = 0.05) -> None:
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while not ready():
        assert time.monotonic() < deadline, "it doesn't get on"
        time.sleep(pause)  # looking more often would take the processor from what is measured


if __name__ == "__main__":
    main()
