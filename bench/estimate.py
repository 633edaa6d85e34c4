"""What an estimate says against what the training then takes, for runs of different kinds.

    python -m bench.estimate [--steps 24] [--only NAME …]

Each kind is estimated and trained, one process after the other, on two models: the starter (5.7 M parameters) and the
24.9 M Llama of the engine's bench, with random weights. Writes bench/results/estimate.json and prints a table.
"""

import argparse
import json
import os
import platform
import sys
import tempfile
from pathlib import Path
from typing import Any

from bench.attempt import run_engine
from bench.conversations import conversations
from bench.shape import make_model
from tunery.data.rows import Conversation, Message, Preference, Row, Text, encode_row
from tunery.schemas.estimate import EstimateResult
from tunery.schemas.run import TrainResult
from tunery.starter.place import MODEL_FOLDER

RESULT = Path(__file__).parent / "results" / "estimate.json"
_FOUR = {"batch_size": 4, "gradient_accumulation_steps": 1, "epochs": 4}
_PACKED = {**_FOUR, "packing": True, "batch_size": 2}
KINDS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "starter, SFT, LoRA, short": ("starter", "sft", {**_FOUR, "max_sequence_length": 256}),
    "starter, SFT, full, short": (
        "starter",
        "sft",
        {**_FOUR, "finetuning_type": "full", "max_sequence_length": 256},
    ),
    "starter, SFT, full, packed": (
        "starter",
        "sft",
        {**_PACKED, "finetuning_type": "full", "max_sequence_length": 512},
    ),
    "starter, DPO, LoRA": ("starter", "dpo", {**_FOUR, "max_sequence_length": 512}),
    "starter, DPO, full": (
        "starter",
        "dpo",
        {**_FOUR, "finetuning_type": "full", "max_sequence_length": 512},
    ),
    "24.9M, SFT, LoRA, long": ("llama", "sft", {**_FOUR, "max_sequence_length": 1024}),
    "24.9M, SFT, full, long": (
        "llama",
        "sft",
        {**_FOUR, "finetuning_type": "full", "max_sequence_length": 1024},
    ),
    "24.9M, SFT, full, packed, checkpoints": (
        "llama",
        "sft",
        {**_PACKED, "finetuning_type": "full", "max_sequence_length": 512, "checkpoint_steps": 5},
    ),
    "24.9M, pretraining, full, packed": (
        "llama",
        "pretrain",
        {**_PACKED, "finetuning_type": "full", "max_sequence_length": 512},
    ),
    "24.9M, DPO, full": ("llama", "dpo", {**_FOUR, "finetuning_type": "full", "max_sequence_length": 512}),
}


def main() -> None:
    """Estimate, train, compare, write the result."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=24)
    parser.add_argument("--rows", type=int, default=160)
    parser.add_argument("--only", nargs="*", default=list(KINDS))
    options = parser.parse_args()
    found: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as scratch:
        models = {"starter": MODEL_FOLDER}
        if any(KINDS[name][0] == "llama" for name in options.only):
            models["llama"] = make_model(Path(scratch) / "llama")
        for name in options.only:
            model, method, settings = KINDS[name]
            base = models[model]
            given = {**settings, "max_steps": options.steps}
            rows = _rows(method, options.rows)
            folder = Path(scratch) / f"run-{len(found)}"
            lines = [encode_row(row) for row in rows]
            asked = run_engine(folder / "asked", base, lines, method, given, "estimate")
            told = EstimateResult.model_validate(asked)
            came = TrainResult.model_validate(run_engine(folder / "done", base, lines, method, given))
            found[name] = _held_against(told, came)
            sys.stdout.write(_line(name, found[name]))
            sys.stdout.flush()
            _keep(found, options.steps)


def _keep(found: dict[str, Any], steps: int) -> None:
    """Beside what was measured of other kinds before."""
    before = json.loads(RESULT.read_bytes())["runs"] if RESULT.exists() else {}
    machine = {"processors": os.cpu_count(), "python": platform.python_version()}
    runs = {name: {**before, **found}[name] for name in KINDS if name in before or name in found}
    RESULT.parent.mkdir(parents=True, exist_ok=True)
    RESULT.write_text(json.dumps({"machine": machine, "steps": steps, "runs": runs}, indent=2) + "\n")


def _held_against(told: EstimateResult, came: TrainResult) -> dict[str, Any]:
    if told.error is not None or came.error is not None or not told.train_seconds or not told.memory_mb:
        sys.exit(f"it failed: {told.error or came.error}")
    return {
        "tokens": [told.tokens, came.tokens],
        "steps": [told.steps, came.steps],
        "seconds": {**told.train_seconds.model_dump(), "actual": came.train_seconds},
        "memory_mb": {**told.memory_mb.model_dump(), "actual": came.peak_rss_mb},
        "load": round(os.getloadavg()[0], 1),
    }


def _line(name: str, one: dict[str, Any]) -> str:
    parts = [name]
    for what in ("seconds", "memory_mb"):
        band = one[what]
        held = "yes" if band["low"] <= band["actual"] <= band["high"] else "no"
        parts.append(
            f"{band['value']:.1f} ({band['low']:.1f} to {band['high']:.1f}) | {band['actual']:.1f} | {held}"
        )
    return f"| {' | '.join([*parts, str(one['load'])])} |\n"


def _rows(method: str, count: int) -> list[Row]:
    """Rows shaped like real chats; of answers of other rows, the worse ones are made."""
    talks: list[Conversation] = []
    for row in conversations(3_000_000, 1):
        messages = tuple(Message.of(turn["role"], turn["content"]) for turn in row["messages"])
        talks.append(Conversation(messages))
        if len(talks) == count:
            break
    if method == "pretrain":
        return [Text("\n".join(message.text for message in talk.messages)) for talk in talks]
    if method == "sft":
        return list(talks)
    pairs = zip(talks, talks[1:] + talks[:1], strict=True)
    return [Preference(one.messages[:-1], (one.messages[-1], other.messages[-1])) for one, other in pairs]


if __name__ == "__main__":
    main()
