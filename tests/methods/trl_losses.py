"""Trains with TRL and writes the loss of every step: `python -m tests.methods.trl_losses JOBS.json LOSSES.json`.

A process of its own, so that TRL's warnings and settings touch nothing else. Each job names a trainer, a model's
folder, rows in the order they are to be met, and the trainer's settings.
"""

import json
import sys
from pathlib import Path
from typing import Any

from datasets import Dataset
from transformers import AutoModelForCausalLM, AutoTokenizer
from trl import (
    DPOConfig,
    DPOTrainer,
    KTOConfig,
    KTOTrainer,
    RewardConfig,
    RewardTrainer,
    SFTConfig,
    SFTTrainer,
)
from trl.experimental.orpo import ORPOConfig, ORPOTrainer

TRAINERS: dict[str, tuple[Any, Any]] = {
    "sft": (SFTConfig, SFTTrainer),
    "dpo": (DPOConfig, DPOTrainer),
    "kto": (KTOConfig, KTOTrainer),
    "orpo": (ORPOConfig, ORPOTrainer),
    "reward": (RewardConfig, RewardTrainer),
}


def losses(job: dict[str, Any], aside: Path) -> list[float]:
    """The loss of each step."""
    config, trainer = TRAINERS[job["trainer"]]
    tokenizer = AutoTokenizer.from_pretrained(job["model"])
    if job.get("chat_template"):
        tokenizer.chat_template = job["chat_template"]
    model: Any = job["model"]
    if job["trainer"] == "orpo":
        model = AutoModelForCausalLM.from_pretrained(model)
    done = trainer(
        model=model,
        args=config(
            output_dir=str(aside / job["name"]),
            bf16=False,
            use_cpu=True,
            gradient_checkpointing=False,
            report_to="none",
            logging_steps=1,
            save_strategy="no",
            disable_tqdm=True,
            train_sampling_strategy="sequential",
            **job["settings"],
        ),
        train_dataset=Dataset.from_list(job["rows"]),
        processing_class=tokenizer,
    )
    done.train()
    return [entry["loss"] for entry in done.state.log_history if "loss" in entry]


def main(jobs: Path, out: Path) -> None:
    found = {job["name"]: losses(job, out.parent) for job in json.loads(jobs.read_bytes())}
    out.write_text(json.dumps(found))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
