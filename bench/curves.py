"""Records the curves that the diagnosis is tested on: real trainings of the starter model, with good and bad settings.

    python -m bench.curves tests/diagnosis/curves [NAME …]

For each name it writes NAME.csv (step, training loss, learning rate, gradient norm, validation loss), and how it was
made and what else is known of it into curves.json. Some minutes on two cores for all.
"""

import csv
import json
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

import yaml
from click.testing import CliRunner

from tunery.cli.main import cli
from tunery.core.attempt import RunFolder
from tunery.diagnosis.history import History, of_events
from tunery.methods.point import learns_words
from tunery.schemas.engine import EngineSpec
from tunery.starter import sample
from tunery.starter.place import MODEL_NAME

_COLUMNS = ("train", "learning_rate", "grad_norm", "validation")


@dataclass(frozen=True)
class Recording:
    """One training to record."""

    data: str
    """A function below."""
    expected: list[str]
    """Codes that a diagnosis must find."""
    settings: dict[str, Any] = field(default_factory=dict)
    method: str = "sft"


_CALM = {"batch_size": 2, "gradient_accumulation_steps": 1, "epochs": 1}
_WATCHED = {"validation_split_ratio": 0.1, "eval_steps": 10}
_FULL = {**_CALM, "finetuning_type": "full"}
_SUMS = {**_CALM, "batch_size": 8}
_FULL_SUMS = {**_SUMS, "finetuning_type": "full"}

RECORDINGS: dict[str, Recording] = {
    "full-tickets-packed": Recording(
        "tickets", [], {**_FULL, "packing": True, "batch_size": 1, "max_sequence_length": 256, "epochs": 1}
    ),
    "full-sums": Recording("sums", [], {**_FULL_SUMS, **_WATCHED, "epochs": 2, "seed": 5}),
    "full-sums-linear": Recording("sums", [], {**_FULL_SUMS, "lr_scheduler": "linear", "seed": 6}),
    "full-sums-stable-decay": Recording(
        "sums", [], {**_FULL_SUMS, "lr_scheduler": "warmup_stable_decay", "seed": 3}
    ),
    "full-sums-restarts": Recording(
        "sums", [], {**_FULL_SUMS, "lr_scheduler": "cosine_with_restarts", "epochs": 2, "seed": 4}
    ),
    "full-sums-small-batches": Recording("sums", [], {**_FULL_SUMS, "batch_size": 2, "seed": 8}),
    "full-sums-accumulated": Recording(
        "sums", [], {**_FULL_SUMS, "batch_size": 4, "gradient_accumulation_steps": 4, "epochs": 2, "seed": 9}
    ),
    "lora-sums-as-recommended": Recording("sums", [], {**_SUMS, "epochs": 1, "seed": 10}),
    "lora-preferences": Recording(
        "better_sums", [], {**_SUMS, "learning_rate": 0.0005, "epochs": 1, "max_train_samples": 240}, "dpo"
    ),
    "rate-too-low-adapter": Recording("sums", ["under_fitting"], {**_SUMS, "learning_rate": 2e-6}),
    "rate-too-high": Recording(
        "tickets", ["learning_rate_too_high"], {**_FULL, "learning_rate": 0.03, "warmup_ratio": 0.1}
    ),
    "rate-too-high-adapter": Recording(
        "tickets",
        ["learning_rate_too_high", "divergence"],
        {**_CALM, "learning_rate": 0.1, "lr_scheduler": "linear"},
    ),
    "by-heart": Recording(
        "sums",
        ["over_fitting"],
        {
            **_FULL_SUMS,
            "max_train_samples": 40,
            "validation_split_ratio": 0.2,
            "eval_steps": 10,
            "epochs": 30,
            "learning_rate": 0.001,
        },
    ),
    "broken-rows": Recording("tickets_with_noise", ["spike"], {**_FULL, "learning_rate": 0.0002}),
    "nothing-to-learn": Recording(
        "coins", [], {**_FULL_SUMS, "lr_scheduler": "constant", "learning_rate": 0.0002, "epochs": 3}
    ),
    "high-constant-rate": Recording(
        "coins", ["spike"], {**_FULL_SUMS, "lr_scheduler": "constant", "learning_rate": 0.001, "epochs": 4}
    ),
    "whole-data-at-once": Recording(
        "sums",
        ["learning_rate_too_high"],
        {
            **_FULL_SUMS,
            "batch_size": 16,
            "max_train_samples": 16,
            "max_steps": 120,
            "epochs": 120,
            "lr_scheduler": "constant",
            "learning_rate": 0.02,
        },
    ),
    "answers-cut-away": Recording(
        "tickets", ["labels_masked"], {**_CALM, "max_sequence_length": 90, "max_steps": 12}
    ),
}


def tickets(rng: Random) -> list[dict[str, Any]]:
    """The sample task."""
    return [dict(row) for row in sample.rows(rng.randrange(1000), 240, 4)[0]]


def tickets_with_noise(rng: Random) -> list[dict[str, Any]]:
    """The same with three rows whose answers are signs without sense."""
    rows = tickets(rng)
    for at in (75, 130, 200):
        rows[at]["output"] = "".join(rng.choice("ѫ¤§ژ߷‡₰∰⌘") for _ in range(60))
    return rows


def sums(rng: Random) -> list[dict[str, Any]]:
    """Little sums."""
    pairs = [(rng.randrange(100), rng.randrange(100)) for _ in range(480)]
    return [
        {"instruction": f"What is {a} and {b}?", "input": "", "output": f"It is {a + b}."} for a, b in pairs
    ]


def coins(rng: Random) -> list[dict[str, Any]]:
    """Questions whose answers are drawn: nothing can be learnt but the choice there is."""
    sides = ("heads", "tails", "the edge", "neither")
    return [
        {
            "instruction": f"Throw coin {rng.randrange(10_000)}.",
            "input": "",
            "output": f"It is {rng.choice(sides)}.",
        }
        for _ in range(480)
    ]


def better_sums(rng: Random) -> list[dict[str, Any]]:
    """Right answers preferred to wrong ones."""
    return [
        {
            "prompt": row["instruction"],
            "chosen": row["output"],
            "rejected": f"Perhaps {rng.randrange(300)}, or not.",
        }
        for row in sums(rng)
    ]


DATA = {make.__name__: make for make in (tickets, tickets_with_noise, sums, coins, better_sums)}


def record(name: str, folder: Path) -> dict[str, Any]:
    """Train, write NAME.csv, and return what curves.json keeps of it."""
    made = RECORDINGS[name]
    with tempfile.TemporaryDirectory() as scratch:
        place = Path(scratch)
        lines = (json.dumps(row, ensure_ascii=False) for row in DATA[made.data](Random(7)))
        (place / "rows.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
        spec = {
            "name": name,
            "base_model": MODEL_NAME,
            "method": made.method,
            "data": "rows.jsonl",
            "settings": {**made.settings, "checkpoint_steps": 100_000},
            "allow_out_of_range": True,
        }
        (place / "run.yaml").write_text(yaml.safe_dump(spec))
        done = CliRunner().invoke(
            cli, ["train", str(place / "run.yaml"), "--out", str(place / "out"), "--json"]
        )
        if not (place / "out").is_dir():
            raise SystemExit(f"{name}: {done.output}")
        history = _history(RunFolder(place / "out"))
    _write(folder / f"{name}.csv", history)
    return {
        "made": {"method": made.method, "data": made.data, "settings": made.settings},
        "steps": history.steps,
        "words": history.words,
        "counts": history.counts,
        "standing_out": history.standing_out,
        "expected": made.expected,
    }


def _history(folder: RunFolder) -> History:
    attempt = folder.attempt(1)
    run = EngineSpec.model_validate(attempt.read_spec()).resolved.spec
    events, _ = attempt.read_events()
    return of_events(events, settings=run.settings, words=learns_words(run.method), ended=True)


def _write(path: Path, history: History) -> None:
    curves = [
        dict(zip(curve.steps, curve.values, strict=True)) for curve in (getattr(history, c) for c in _COLUMNS)
    ]
    with path.open("w", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(["step", *_COLUMNS])
        for step in sorted(set().union(*curves)):
            table.writerow([step, *(f"{curve[step]:.5g}" if step in curve else "" for curve in curves)])


def main(folder: Path, names: list[str]) -> None:
    """Record the named ones, or all."""
    folder.mkdir(parents=True, exist_ok=True)
    listing = folder / "curves.json"
    known = json.loads(listing.read_text()) if listing.exists() else {}
    for name in names or RECORDINGS:
        known[name] = record(name, folder)
        listing.write_text(json.dumps(dict(sorted(known.items())), indent=1) + "\n")
        sys.stderr.write(f"{name}\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
