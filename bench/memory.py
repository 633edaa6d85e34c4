"""How much more memory a training on 100,000 rows needs than one on 300, and whether it ever waits for its rows.

    python -m bench.memory [--rows 100000] [--steps 60]

Trains the starter model on rows of the sample task, one process each time: once row by row, and once packed, where the
plan needs the lengths of all rows before the first step. Memory is the engine's own peak (VmHWM).
Writes bench/results/memory.json.
"""

import argparse
import json
import os
import platform
import sys
import tempfile
from pathlib import Path
from typing import Any

import orjson

from bench.attempt import run_engine
from tunery.data.formats.point import FORMATS
from tunery.data.rows import encode_row
from tunery.starter import sample
from tunery.starter.place import MODEL_FOLDER

RESULT = Path(__file__).parent / "results" / "memory.json"
_FEW = 300


def main() -> None:
    """Measure, print, write the result."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--steps", type=int, default=60)
    options = parser.parse_args()
    found: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        lines = _lines(Path(folder))
        for packing in (False, True):
            kind = "packed" if packing else "rows"
            for count in (_FEW, options.rows):
                result = _train(
                    Path(folder) / f"{kind}-{count}", lines, count, options.steps, packing=packing
                )
                found[f"{kind} {count}"] = {
                    name: result[name]
                    for name in ("peak_rss_mb", "data_wait_share", "train_seconds", "steps")
                }
                sys.stdout.write(f"{kind} {count}: {found[f'{kind} {count}']}\n")
            many, few = (found[f"{kind} {count}"]["peak_rss_mb"] for count in (options.rows, _FEW))
            found[f"{kind}: MB more"] = round(many - few, 1)
            sys.stdout.write(f"{kind}: {many - few:.1f} MB more\n")
    machine = {"processors": os.cpu_count(), "python": platform.python_version(), "load": os.getloadavg()[0]}
    RESULT.parent.mkdir(parents=True, exist_ok=True)
    RESULT.write_text(json.dumps({"options": vars(options), "machine": machine, **found}, indent=2) + "\n")


def _lines(folder: Path) -> list[bytes]:
    """Canonical rows of the sample task."""
    sample.write(folder / "rows", 0, 3000, 1)
    records = [orjson.loads(line) for line in (folder / "rows" / "train.jsonl").open("rb")]
    form = next(form for _, form in FORMATS.all() if form.recognise(records[0]))
    return [encode_row(form.read(record)) for record in records]


def _train(folder: Path, lines: list[bytes], count: int, steps: int, *, packing: bool) -> dict[str, Any]:
    """Train some steps; result.json."""
    given = {
        "max_steps": steps, "batch_size": 8, "gradient_accumulation_steps": 1, "max_sequence_length": 512,
        "packing": packing,
    }  # fmt: skip
    wanted = (lines[number % len(lines)] for number in range(count))
    result = run_engine(folder, MODEL_FOLDER, wanted, "sft", given)
    assert result["error"] is None, result["error"]
    return result


if __name__ == "__main__":
    main()
