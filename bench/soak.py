"""Files of growing size become stored datasets: the time grows as they do, memory doesn't. And an upload of 10 GB.

    python -m bench.soak [--scale 1.0] [--seed 0] [--without-upload]

At scale 1: 100 MB and 1 GB of conversations, 1 and 10 million short rows, each checked, hashed and stored in a process
of its own; then bench.upload. Needs 35 GB of room. Writes bench/results/soak.json.
"""

import argparse
import json
import os
import platform
import sys
import tempfile
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from bench import upload
from bench.conversations import conversations
from bench.data import MOST_MEGABYTES, OURS, measure
from tunery.data import native

RESULT = Path(__file__).parent / "results" / "soak.json"
MOST_SLOWER = 1.25
"""A byte, or a row, of ten times the file may take so many times the processor time before that isn't linear."""
_AT_ONCE = 10_000


def main() -> None:
    """Measure, print, write the result. Ends with 1 where an aim was missed."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--scale", type=float, default=1.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--without-upload", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        found = soak(Path(folder), options.scale, options.seed)
        if not options.without_upload:
            found["upload"] = upload.measure(Path(folder), int(10e9 * options.scale), options.seed)
    missed = misses(found)
    for name, one in found["files"].items():
        sys.stdout.write(
            f"{name}: {one['bytes'] / 1e6:.0f} MB, {one['rows']:,} rows in {one['wall']:.1f} s "
            f"({one['cpu']:.1f} s of processor time), {one['peak_mb']:.0f} MB of memory, "
            f"1,000 random rows in {one['picked_seconds'] * 1000:.0f} ms\n"
        )
    if "upload" in found:
        sys.stdout.write(upload.in_words(found["upload"]))
    sys.stdout.write("".join(f"missed: {line}\n" for line in missed))
    machine = {
        "processors": os.cpu_count(), "python": platform.python_version(),
        "compiled": native.COMPILED is not None, "load": round(os.getloadavg()[0], 2),
    }  # fmt: skip
    RESULT.parent.mkdir(parents=True, exist_ok=True)
    result = {"options": vars(options), "machine": machine, **found, "missed": missed}
    RESULT.write_text(json.dumps(result, indent=2) + "\n")
    sys.exit(1 if missed else 0)


def soak(folder: Path, scale: float, seed: int) -> dict[str, Any]:
    """Store files one after the other; `folder` needs room for two of the largest."""
    files = {
        "conversations": (_conversations, int(100e6 * scale), seed),
        "ten times the conversations": (_conversations, int(1e9 * scale), seed),
        "rows": (_short_rows, int(1e6 * scale), seed),
        "ten times the rows": (_short_rows, int(10e6 * scale), seed),
    }
    found: dict[str, Any] = {}
    for name, (lines, size, own_seed) in files.items():
        few, path = folder / "few.jsonl", folder / "rows.jsonl"
        _write(few, lines(min(size, 1000), own_seed))
        written = _write(path, lines(size, own_seed))
        one = measure(Path(sys.executable), OURS, few, path)
        found[name] = {**one, "bytes": path.stat().st_size, "rows_written": written}
        few.unlink()
        path.unlink()
    return {
        "files": found,
        "slower_by_byte": _slower(found["conversations"], found["ten times the conversations"], "bytes"),
        "slower_by_row": _slower(found["rows"], found["ten times the rows"], "rows"),
    }


def misses(found: dict[str, Any]) -> list[str]:
    """The aims that weren't reached."""
    lines = [
        f"{name}: {one['rows']} of {one['rows_written']} rows were stored"
        for name, one in found["files"].items()
        if one["rows"] != one["rows_written"]
    ]
    lines += [
        f"{name}: {one['peak_mb']:.0f} MB of memory, not below {MOST_MEGABYTES}"
        for name, one in found["files"].items()
        if one["peak_mb"] >= MOST_MEGABYTES
    ]
    lines += [
        f"{name}: {found[name]:.2f} times the time, not at most {MOST_SLOWER}"
        for name in ("slower_by_byte", "slower_by_row")
        if found[name] > MOST_SLOWER
    ]
    sent = found.get("upload")
    if sent and (sent["lost_bytes"] or sent["rows"] != sent["rows_written"]):
        lines.append(
            f"upload: {sent['rows']} of {sent['rows_written']} rows, {sent['lost_bytes']} bytes lost"
        )
    return lines


def _slower(small: dict[str, Any], large: dict[str, Any], unit: str) -> float:
    """Processor time of one byte or row of the large file, by that of the small one."""
    return (large["cpu"] / large[unit]) / (small["cpu"] / small[unit])


def _write(path: Path, lines: Iterator[str]) -> int:
    count = 0
    with path.open("w", encoding="utf-8") as file:
        while some := list(islice(lines, _AT_ONCE)):
            file.writelines(some)
            count += len(some)
    return count


def _conversations(size: int, seed: int) -> Iterator[str]:
    return (json.dumps(row, ensure_ascii=False) + "\n" for row in conversations(size, seed))


def _short_rows(count: int, seed: int) -> Iterator[str]:
    """Each another."""
    for number in range(count):
        asked, answer = f"Double {number} and add {seed}.", str(2 * number + seed)
        yield f'{{"instruction": "{asked}", "input": "", "output": "{answer}"}}\n'


if __name__ == "__main__":
    main()
