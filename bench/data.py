"""How fast a file becomes a stored dataset, beside `datasets.load_dataset("json")`, which checks nothing.

    python -m bench.data [--megabytes 120] [--rounds 3] [--seed 0]

Both read the same file in turn, each in a process of its own; what counts is the ratio within one run. `datasets` goes
into an environment of its own in a temporary folder. Writes bench/results/data.json.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import venv
from pathlib import Path
from statistics import median
from typing import Any

from bench.conversations import write

RESULT = Path(__file__).parent / "results" / "data.json"
_AIMS = {"jsonl": 4.0, "json": 2.0}
_MEASURED = """
import json, resource, sys, tempfile, time
def peak():
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmHWM")) / 1024
def used():
    now = resource.getrusage(resource.RUSAGE_SELF)
    return now.ru_utime + now.ru_stime
path = sys.argv[1]
{setup}
with tempfile.TemporaryDirectory() as folder:
    wall, cpu = time.perf_counter(), used()
{work}
    print(json.dumps({{"wall": time.perf_counter() - wall, "cpu": used() - cpu, "peak_mb": peak(), "rows": rows}}))
"""
_OURS = _MEASURED.format(
    setup="""
from pathlib import Path
from tunery.blobs.local import LocalBlobs
from tunery.data.check import check_file
from tunery.data.store import VersionWriter
""",
    work="""
    with VersionWriter(LocalBlobs(Path(folder) / "blobs"), scratch=Path(folder)) as writer:
        report = check_file(Path(path), on_rows=writer.append)
        writer.finish(report.content_hash, report.format, "conversation")
    rows = report.rows_accepted
""",
)
_THEIRS = _MEASURED.format(
    setup="""
import datasets
datasets.disable_progress_bars()
""",
    work="""
    rows = len(datasets.load_dataset("json", data_files=path, split="train", cache_dir=folder))
""",
)


def main() -> None:
    """Measure, print, write the result."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--megabytes", type=int, default=120)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        files = write(Path(folder), options.megabytes * 1_000_000, options.seed)
        python = _with_datasets(Path(folder) / "venv")
        found = {kind: _compare(path, python, options.rounds) for kind, path in files.items()}
    for kind, one in found.items():
        sys.stdout.write(
            f"{kind}: {one['wall_ratio']:.2f} x their rate by the clock (aim {_AIMS[kind]:.0f}), "
            f"{one['cpu_ratio']:.2f} x by processor time, {one['ours']['peak_mb']:.0f} MB at most\n"
        )
    machine = {"processors": os.cpu_count(), "python": platform.python_version(), "load": os.getloadavg()[0]}
    RESULT.parent.mkdir(parents=True, exist_ok=True)
    RESULT.write_text(
        json.dumps({"options": vars(options), "machine": machine, "files": found}, indent=2) + "\n"
    )


def _with_datasets(folder: Path) -> Path:
    venv.create(folder, with_pip=True)
    python = folder / "bin" / "python"
    subprocess.run([python, "-m", "pip", "install", "--quiet", "datasets"], check=True)
    return python


def _compare(path: Path, python: Path, rounds: int) -> dict[str, Any]:
    """Medians over the rounds, and the median of each round's ratios."""
    ours, theirs = [], []
    for _ in range(rounds):
        theirs.append(_measure(python, _THEIRS, path))
        ours.append(_measure(Path(sys.executable), _OURS, path))
    assert {one["rows"] for one in ours} == {one["rows"] for one in theirs}, "both must read every row"
    pairs = list(zip(ours, theirs, strict=True))
    return {
        "bytes": path.stat().st_size,
        "wall_ratio": median(their["wall"] / our["wall"] for our, their in pairs),
        "cpu_ratio": median(their["cpu"] / our["cpu"] for our, their in pairs),
        "ours": {key: median(one[key] for one in ours) for key in ours[0]},
        "theirs": {key: median(one[key] for one in theirs) for key in theirs[0]},
    }


def _measure(python: Path, code: str, path: Path) -> dict[str, float]:
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "HF_HUB_DISABLE_TELEMETRY": "1"}
    run = subprocess.run(
        [python, "-c", code, str(path)], capture_output=True, text=True, check=True, env=environment
    )
    return json.loads(run.stdout.splitlines()[-1])


if __name__ == "__main__":
    main()
