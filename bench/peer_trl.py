"""Trains with TRL and says how long it took: `python bench/peer_trl.py JOB.json OUT.json`, in TRL's environment.

JOB.json names a kind (sft or dpo), a model's folder, a file of rows, LoRA's rank or 0, and what to set besides TRL's
defaults. It knows nothing of Tunery.
"""

import json
import sys
import time
from pathlib import Path
from typing import Any

from datasets import Dataset
from peft import LoraConfig
from transformers import TrainerCallback
from trl import DPOConfig, DPOTrainer, SFTConfig, SFTTrainer


class Clock(TrainerCallback):
    """From the moment the first batch is asked for to the end of the last step."""

    def __init__(self) -> None:
        self.began = self.ended = 0.0

    def on_train_begin(self, *given: Any, **named: Any) -> None:
        self.began = time.monotonic()

    def on_step_end(self, *given: Any, **named: Any) -> None:
        self.ended = time.monotonic()


def peak_mb() -> float:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:")) / 1024


def main(job: dict[str, Any], out: Path) -> None:
    config, trainer = {"sft": (SFTConfig, SFTTrainer), "dpo": (DPOConfig, DPOTrainer)}[job["kind"]]
    lora = {"r": job["rank"], "lora_alpha": 32, "target_modules": "all-linear", "task_type": "CAUSAL_LM"}
    clock = Clock()
    common = {
        "output_dir": str(out.parent / "trl"),
        "per_device_train_batch_size": 4,
        "gradient_accumulation_steps": 1,
        "num_train_epochs": 1,
        "learning_rate": 1e-4,
        "max_length": 1024,
        "logging_steps": 1,
        "save_strategy": "no",
        "report_to": "none",
        "disable_tqdm": True,
        "use_cpu": True,
        **({"assistant_only_loss": True} if job["kind"] == "sft" else {}),
    }
    done = trainer(
        model=job["model"],
        args=config(**{**common, **job["settings"]}),
        train_dataset=Dataset.from_list(
            [json.loads(line) for line in Path(job["rows"]).read_text().splitlines()]
        ),
        peft_config=LoraConfig(**lora) if job["rank"] else None,
        callbacks=[clock],
    )
    done.train()
    losses = [entry["loss"] for entry in done.state.log_history if "loss" in entry]
    out.write_text(
        json.dumps(
            {
                "train_seconds": clock.ended - clock.began,
                "peak_rss_mb": peak_mb(),
                "steps": done.state.global_step,
                "first_loss": losses[0],
                "last_loss": losses[-1],
            }
        )
    )


if __name__ == "__main__":
    main(json.loads(Path(sys.argv[1]).read_bytes()), Path(sys.argv[2]))
