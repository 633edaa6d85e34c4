"""How fast training is, beside TRL and LLaMA-Factory on the same rows, on the processor.

    python -m bench.engine [--rounds 1] [--kinds full lora dpo] [--cache FOLDER] [--trl PYTHON]
                           [--llamafactory PYTHON] [--threads 2] [--rows 64]

A Llama of 24.9 million random parameters learns 64 rows of chat, cut at 1024 tokens, for one epoch, 4 rows a step.
Each contender is a process of its own, as a user starts it; ours is `tunery train`, and runs before each peer. Time is
from the first batch asked for to the end of the last step, compiling included. Peers get environments of their own in
FOLDER unless a PYTHON has them. Writes bench/results/engine.json.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import venv
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import yaml

from bench.shape import LIMIT, chats, make_model, preferences
from tunery.core.allocator import find_allocator

HERE = Path(__file__).parent
RESULT = HERE / "results" / "engine.json"
BEST = {"packing": True, "bf16": True, "gradient_checkpointing": False}
AIMS = {
    "full": {"trl": 12.0, "trl best": 5.0, "trl best, allocator": 3.5, "llamafactory": 6.0},
    "lora": {"trl": 12.0, "trl best": 8.0},
    "dpo": {"trl": 3.0},
}
"""How many times a peer's pace ours is to be."""
MOST_MEMORY = 0.35
"""Of TRL's default's, in full training."""
MOST_APART = 0.005
"""Evaluation loss from that of the same run in fp32."""
_PARAMETERS = 24_900_000
_PRODUCT = """
import time, torch
a, b = torch.randn(2, 2048, 2048).bfloat16()
best = 1e9
for _ in range(20):
    began = time.perf_counter()
    a @ b
    best = min(best, time.perf_counter() - began)
print(2 * 2048**3 / best / 1e9)
"""


class Race:
    """The rows, the model, and what it takes to let one contender run."""

    def __init__(self, folder: Path, options: argparse.Namespace) -> None:
        self.folder, self.threads, self.rows = folder, options.threads, options.rows
        self.model = make_model(folder / "model")
        self.files = {
            "train": _lines(folder / "train.jsonl", chats(options.rows, 0)),
            "unseen": _lines(folder / "unseen.jsonl", chats(options.rows, 1)),
            "pairs": _lines(folder / "pairs.jsonl", preferences(options.rows, 0)),
        }
        cache: Path = options.cache
        self.trl = options.trl or _environment(cache / "trl", "trl==1.16.0", "peft")
        self.llamafactory = options.llamafactory or _environment(
            cache / "llamafactory", "llamafactory==0.9.5", "trl==0.24.0"
        )
        self._number = 0

    def _aside(self) -> Path:
        self._number += 1
        folder = self.folder / f"run-{self._number}"
        folder.mkdir()
        return folder

    def _run(self, command: list[str], **environment: str) -> str:
        threads = {name: str(self.threads) for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS")}
        offline = {"HF_HUB_OFFLINE": "1", "HF_HOME": str(self.folder / "home"), "DISABLE_VERSION_CHECK": "1"}
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            env={**os.environ, **threads, **offline, **environment},
            cwd=self.folder,
        )
        if done.returncode:
            raise SystemExit(f"{' '.join(command)} failed:\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}")
        return done.stdout

    def ours(self, kind: str, *, exact: bool = False) -> dict[str, float]:
        """`tunery train`; `exact` computes in fp32."""
        aside = self._aside()
        settings = {
            "finetuning_type": "lora" if kind == "lora" else "full",
            "batch_size": 4,
            "gradient_accumulation_steps": 1,
            "epochs": 1,
            "max_sequence_length": LIMIT,
            "learning_rate": 1e-4,
            "seed": 0,
            **({"lora_rank": 8, "lora_alpha": 32, "lora_dropout": 0.0} if kind == "lora" else {}),
            **({"eval_steps": self.rows // 4, "eval_samples": 0} if kind != "dpo" else {}),
        }
        spec = {
            "base_model": str(self.model),
            "method": "dpo" if kind == "dpo" else "sft",
            "data": {"train": str(self.files["pairs" if kind == "dpo" else "train"])}
            | ({} if kind == "dpo" else {"validation": str(self.files["unseen"])}),
            "settings": settings,
            "preset": "default",
            "allow_out_of_range": True,
            "resources": {"threads": self.threads},
        }
        (aside / "run.yaml").write_text(yaml.safe_dump(spec))
        command = [sys.executable, "-m", "tunery.cli", "train", "run.yaml", "--out", "out", "--json"]
        fp32 = {"TUNERY_ENGINE_COMMAND": json.dumps([sys.executable, "-m", "bench.in_fp32"])} if exact else {}
        paths = os.pathsep.join([str(HERE.parent), os.environ.get("PYTHONPATH", "")])
        places = [str(aside / name) if name in ("run.yaml", "out") else name for name in command]
        return json.loads(self._run(places, PYTHONPATH=paths, TUNERY_MINIMUM_ROWS="1", **fp32))

    def theirs(
        self, kind: str, settings: dict[str, Any], *, allocator: bool = False, peer: str = "trl"
    ) -> dict[str, float]:
        """A peer with its defaults but for `settings`."""
        aside = self._aside()
        job = {
            "kind": "dpo" if kind == "dpo" else "sft",
            "model": str(self.model),
            "rows": str(self.files["pairs" if kind == "dpo" else "train"]),
            "rank": 8 if kind == "lora" else 0,
            "settings": settings,
        }
        (aside / "job.json").write_text(json.dumps(job))
        found = find_allocator() if allocator else None
        return self._peer(getattr(self, peer), f"peer_{peer}.py", aside, LD_PRELOAD=str(found or ""))

    def _peer(self, python: Path, script: str, aside: Path, **environment: str) -> dict[str, float]:
        out = aside / "out.json"
        self._run([str(python), "-P", str(HERE / script), str(aside / "job.json"), str(out)], **environment)
        return json.loads(out.read_bytes())

    def once(self, kind: str) -> dict[str, dict[str, dict[str, float]]]:
        """One round: ours before each peer, for a machine's own speed changes within minutes."""
        found: dict[str, dict[str, dict[str, float]]] = {}
        for peer, theirs in self._peers(kind).items():
            found[peer] = {"ours": self.ours(kind), "theirs": theirs()}
        return found

    def _peers(self, kind: str) -> dict[str, Callable[[], dict[str, float]]]:
        peers = {"trl": partial(self.theirs, kind, {})}
        if kind != "dpo":
            peers["trl best"] = partial(self.theirs, kind, BEST)
        if kind == "full":
            peers["llamafactory"] = partial(self.theirs, kind, {}, peer="llamafactory")
            if find_allocator():
                peers["trl best, allocator"] = partial(self.theirs, kind, BEST, allocator=True)
            peers["ours in fp32"] = partial(self.ours, kind, exact=True)
        return peers


def judge(
    kind: str, rounds: list[dict[str, dict[str, dict[str, float]]]]
) -> tuple[dict[str, Any], list[str]]:
    """Ratios of time in each round, their medians, and the aims that they miss."""
    first = rounds[0]
    ratios = {
        peer: median(
            one[peer]["theirs"]["train_seconds"] / one[peer]["ours"]["train_seconds"] for one in rounds
        )
        for peer in first
    }
    missed = [
        f"{kind}: {ratios[peer]:.1f} times the pace of {peer}, not {aim:g}"
        for peer, aim in AIMS[kind].items()
        if peer in ratios and ratios[peer] < aim
    ]
    result: dict[str, Any] = {"ratios": ratios, "rounds": rounds}
    if kind == "full":
        memory = first["trl"]["ours"]["peak_rss_mb"] / first["trl"]["theirs"]["peak_rss_mb"]
        exact, ours = (first["ours in fp32"][name]["validation_loss"] for name in ("theirs", "ours"))
        apart = abs(ours - exact) / exact
        result |= {"memory_of_trl": memory, "validation_loss_apart": apart}
        if memory > MOST_MEMORY:
            missed.append(f"full: {memory:.0%} of TRL's memory, not {MOST_MEMORY:.0%}")
        if apart > MOST_APART:
            missed.append(f"full: evaluation loss {apart:.2%} from that in fp32, not {MOST_APART:.1%}")
    return result, missed


def main() -> None:
    """Measure, print, write the result. Ends with 1 where an aim was missed."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--kinds", nargs="+", choices=list(AIMS), default=list(AIMS))
    parser.add_argument("--cache", type=Path, default=Path.home() / ".cache" / "tunery-bench")
    parser.add_argument("--trl", type=Path, help="a Python that has TRL and PEFT")
    parser.add_argument("--llamafactory", type=Path, help="a Python that has LLaMA-Factory")
    parser.add_argument("--rows", type=int, default=64, help="fewer only to see that it runs")
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    found: dict[str, Any] = {}
    missed: list[str] = []
    with tempfile.TemporaryDirectory() as folder:
        race = Race(Path(folder), options)
        before = os.getloadavg()[0]
        product = float(race._run([sys.executable, "-c", _PRODUCT]))
        for kind in options.kinds:
            found[kind], more = judge(kind, [race.once(kind) for _ in range(options.rounds)])
            missed += more
    machine = {
        "processors": os.cpu_count(), "python": platform.python_version(), "bf16_gflops": round(product, 1),
        "allocator": find_allocator() is not None,
        "load_before": round(before, 2), "load_after": round(os.getloadavg()[0], 2),
    }  # fmt: skip
    if "full" in found:
        rate = found["full"]["rounds"][0]["trl"]["ours"]["tokens_per_second"]
        found["full"]["share_of_bf16_product"] = 6 * _PARAMETERS * rate / 1e9 / product
    for kind, result in found.items():
        sys.stdout.write(_shown(kind, result))
    sys.stdout.write("".join(f"missed: {line}\n" for line in missed))
    RESULT.write_text(json.dumps({"machine": machine, "kinds": found, "missed": missed}, indent=2) + "\n")
    sys.exit(1 if missed else 0)


def _shown(kind: str, result: dict[str, Any]) -> str:
    columns = ("theirs, s", "ours, s", "theirs, MB", "ours, MB", "ours is faster")
    lines = [f"{kind:22}" + "".join(f"{one:>15}" for one in columns) + "\n"]
    for peer, pair in result["rounds"][0].items():
        seconds = "".join(f"{pair[name]['train_seconds']:15.1f}" for name in ("theirs", "ours"))
        memory = "".join(f"{pair[name]['peak_rss_mb']:15.0f}" for name in ("theirs", "ours"))
        lines.append(f"  {peer:20}{seconds}{memory}{result['ratios'][peer]:9.1f} times\n")
    return "".join(lines)


def _lines(file: Path, rows: list[dict[str, Any]]) -> Path:
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return file


def _environment(folder: Path, *packages: str) -> Path:
    """An environment with the packages, made when it is first asked for."""
    python = folder / "bin" / "python"
    if not (folder / "complete").exists():
        venv.create(folder, with_pip=True, clear=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", "torch==2.13.0", *packages], check=True)
        (folder / "complete").touch()
    return python


if __name__ == "__main__":
    main()
