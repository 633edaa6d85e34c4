"""How fast a file becomes a stored dataset, beside `datasets.load_dataset("json")`, which checks nothing.

    python -m bench.data [--megabytes 120] [--rounds 5] [--seed 0] [--datasets PYTHON]

Both read the same file in turn, each in a process of its own and with its modules compiled to bytecode, as pip leaves
them; each round gives one ratio, and what counts is the median. `warm` is the call by itself, with everything
imported and a small file read before, and then 1,000 random rows; `whole` is what a stopwatch says from the start of
Python to its end. `datasets` goes into an environment of its own in a temporary folder, unless PYTHON has it. Writes
bench/results/data.json.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
import venv
from pathlib import Path
from statistics import median
from typing import Any

from bench.conversations import write
from tunery.data import native

RESULT = Path(__file__).parent / "results" / "data.json"
AIMS = {"jsonl": 4.0, "json": 2.0}
MOST_MEGABYTES = 300
MOST_PICKED_SECONDS = 0.05
_MEASURED = """
import json, resource, sys, tempfile, time
def peak():
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmHWM")) / 1024
def used():
    now = resource.getrusage(resource.RUSAGE_SELF)
    return now.ru_utime + now.ru_stime
{setup}
found = {{}}
for path in sys.argv[1:]:
    with tempfile.TemporaryDirectory() as folder:
        wall, cpu = time.perf_counter(), used()
        rows, more = work(path, folder)
        found = {{"wall": time.perf_counter() - wall, "cpu": used() - cpu, "rows": rows}}
        found |= {{"peak_mb": peak()}}
        if len(sys.argv) > 2:
            found |= more()
print(json.dumps(found))
"""
OURS = _MEASURED.format(
    setup="""
import random
from pathlib import Path
from tunery.blobs.local import LocalBlobs
from tunery.data.check import check_file
from tunery.data.store import VersionReader, VersionWriter

def work(path, folder):
    blobs = LocalBlobs(Path(folder) / "blobs")
    with VersionWriter(blobs, scratch=Path(folder)) as writer:
        report = check_file(Path(path), on_rows=writer.append)
        manifest = writer.finish(report.content_hash, report.format, "conversation")

    def pick():
        version = VersionReader(blobs, manifest)
        numbers = random.Random(0).choices(range(len(version)), k=1000)
        began = time.perf_counter()
        assert len(list(version.pick(numbers))) == 1000
        return {"picked_seconds": time.perf_counter() - began}

    return report.rows_accepted, pick
"""
)
THEIRS = _MEASURED.format(
    setup="""
import datasets
datasets.disable_progress_bars()

def work(path, folder):
    return len(datasets.load_dataset("json", data_files=path, split="train", cache_dir=folder)), dict
"""
)


def main() -> None:
    """Measure, print, write the result. Ends with 1 where an aim was missed."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--megabytes", type=int, default=120)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--datasets", type=Path, help="a Python that has the datasets library")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        files = write(Path(folder), options.megabytes * 1_000_000, options.seed)
        (Path(folder) / "few").mkdir()
        few = write(Path(folder) / "few", 100_000, options.seed)
        python = options.datasets or _with_datasets(Path(folder) / "venv")
        before = os.getloadavg()[0]
        found = {kind: compare(files[kind], few[kind], python, options.rounds) for kind in files}
        version = _output(python, "import datasets; print(datasets.__version__)")
    missed = [line for kind, one in found.items() for line in misses(kind, one)]
    for kind, one in found.items():
        sys.stdout.write(_shown(kind, one))
    sys.stdout.write("".join(f"missed: {line}\n" for line in missed))
    result = {
        "options": {"megabytes": options.megabytes, "rounds": options.rounds, "seed": options.seed},
        "machine": {
            "processors": os.cpu_count(), "python": platform.python_version(), "datasets": version,
            "compiled": native.COMPILED is not None,
            "load_before": round(before, 2), "load_after": round(os.getloadavg()[0], 2),
        },
        "files": found,
        "missed": missed,
    }  # fmt: skip
    RESULT.parent.mkdir(parents=True, exist_ok=True)
    RESULT.write_text(json.dumps(result, indent=2) + "\n")
    sys.exit(1 if missed else 0)


def compare(path: Path, few: Path, python: Path, rounds: int) -> dict[str, Any]:
    """Medians over the rounds, and the ratios of each round. `few`: a small file of the same kind."""
    own = Path(sys.executable)
    bytecode = few.parent / "bytecode"
    for reader, code in ((python, THEIRS), (own, OURS)):
        measure(reader, code, few, bytecode=bytecode)
    took: dict[str, list[dict[str, float]]] = {
        "ours_warm": [],
        "theirs_warm": [],
        "ours_whole": [],
        "theirs_whole": [],
    }
    for _ in range(rounds):
        took["theirs_warm"].append(measure(python, THEIRS, few, path, bytecode=bytecode))
        took["ours_warm"].append(measure(own, OURS, few, path, bytecode=bytecode))
        took["theirs_whole"].append(measure(python, THEIRS, path, bytecode=bytecode))
        took["ours_whole"].append(measure(own, OURS, path, bytecode=bytecode))
    assert len({one["rows"] for many in took.values() for one in many}) == 1, "both must read every row"
    return {
        "bytes": path.stat().st_size,
        "rows": took["ours_warm"][0]["rows"],
        "warm": _ratios(took["ours_warm"], took["theirs_warm"], "wall"),
        "warm_cpu": _ratios(took["ours_warm"], took["theirs_warm"], "cpu"),
        "whole": _ratios(took["ours_whole"], took["theirs_whole"], "process"),
        **{name: {key: median(one[key] for one in many) for key in many[0]} for name, many in took.items()},
    }


def misses(kind: str, one: dict[str, Any]) -> list[str]:
    """The aims that a measurement doesn't reach."""
    ours = [one["ours_warm"], one["ours_whole"]]
    peak = max(each["peak_mb"] for each in ours)
    picked = one["ours_warm"]["picked_seconds"]
    lines = [
        f"{kind}, {name}: {one[name]['median']:.2f} times their rate, not {AIMS[kind]:.0f}"
        for name in ("warm", "whole")
        if one[name]["median"] < AIMS[kind]
    ]
    if peak >= MOST_MEGABYTES:
        lines.append(f"{kind}: {peak:.0f} MB of memory, not below {MOST_MEGABYTES}")
    if picked >= MOST_PICKED_SECONDS:
        lines.append(f"{kind}: 1,000 random rows in {picked * 1000:.0f} ms, not below 50")
    return lines


def measure(python: Path, code: str, *paths: Path, bytecode: Path | None = None) -> dict[str, float]:
    """One process that reads the files one after the other; what it says of the last, and its own time.

    `bytecode`: where modules are kept compiled.
    """
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "HF_HUB_DISABLE_TELEMETRY": "1"}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    if bytecode is not None:
        environment["PYTHONPYCACHEPREFIX"] = str(bytecode)
    began = time.perf_counter()
    command = [python, "-c", code, *map(str, paths)]
    run = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    return {**json.loads(run.stdout.splitlines()[-1]), "process": time.perf_counter() - began}


def _ratios(ours: list[dict[str, float]], theirs: list[dict[str, float]], key: str) -> dict[str, float]:
    """How many times faster, by round."""
    each = [their[key] / our[key] for our, their in zip(ours, theirs, strict=True)]
    return {"median": median(each), "lowest": min(each), "highest": max(each)}


def _shown(kind: str, one: dict[str, Any]) -> str:
    warm, whole = one["warm"], one["whole"]
    return (
        f"{kind}: {warm['median']:.2f} times their rate ({warm['lowest']:.2f} to {warm['highest']:.2f}), "
        f"{whole['median']:.2f} with the start of Python, {one['warm_cpu']['median']:.2f} by processor time "
        f"(aim {AIMS[kind]:.0f}); {one['ours_whole']['peak_mb']:.0f} MB, theirs {one['theirs_whole']['peak_mb']:.0f}; "
        f"1,000 random rows in {one['ours_warm']['picked_seconds'] * 1000:.0f} ms\n"
    )


def _output(python: Path, code: str) -> str:
    return subprocess.run([python, "-c", code], capture_output=True, text=True, check=True).stdout.strip()


def _with_datasets(folder: Path) -> Path:
    venv.create(folder, with_pip=True)
    python = folder / "bin" / "python"
    subprocess.run([python, "-m", "pip", "install", "--quiet", "datasets"], check=True)
    return python


if __name__ == "__main__":
    main()
