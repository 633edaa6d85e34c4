"""Trains with LLaMA-Factory and says how long it took: `python bench/peer_llamafactory.py JOB.json OUT.json`, in
LLaMA-Factory's environment.

JOB.json names a kind (sft or dpo), a model's folder, a file of rows, LoRA's rank or 0, and what to set besides
LLaMA-Factory's defaults. It knows nothing of Tunery.
"""

import json
import sys
import time
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import Any

try:
    import torchaudio  # pyright: ignore[reportMissingImports]  # noqa: F401
except (ImportError, OSError):
    # LLaMA-Factory imports it at once; one made for another torch doesn't load, and no row here has sound.
    sys.modules["torchaudio"] = ModuleType("torchaudio")
    sys.modules["torchaudio"].__spec__ = ModuleSpec("torchaudio", None)

from llamafactory.data.formatter import StringFormatter  # pyright: ignore[reportMissingImports]
from llamafactory.data.template import register_template  # pyright: ignore[reportMissingImports]
from llamafactory.train.tuner import run_exp  # pyright: ignore[reportMissingImports]
from transformers import TrainerCallback, TrainerControl, TrainerState

TAGS = {
    "role_tag": "role",
    "content_tag": "content",
    "user_tag": "user",
    "assistant_tag": "assistant",
    "system_tag": "system",
}


class Clock(TrainerCallback):
    """From the moment the first batch is asked for to the end of the last step."""

    def __init__(self) -> None:
        self.began = self.ended = 0.0
        self.steps = self.tokens = self.supervised = 0
        self.losses: list[float] = []

    def on_train_begin(self, *given: Any, train_dataloader: Any, **named: Any) -> None:
        for row in train_dataloader.dataset:
            labels = [row[name] for name in ("labels", "chosen_labels", "rejected_labels") if name in row]
            self.tokens += sum(map(len, labels))
            self.supervised += sum(label != -100 for one in labels for label in one)
        self.began = time.monotonic()

    def on_step_end(self, args: Any, state: TrainerState, control: TrainerControl, **named: Any) -> None:
        self.ended = time.monotonic()
        self.steps = state.global_step

    def on_log(self, args: Any, state: TrainerState, control: TrainerControl, **named: Any) -> None:
        self.losses += [entry["loss"] for entry in state.log_history[-1:] if "loss" in entry]


def peak_mb() -> float:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:")) / 1024


def main(job: dict[str, Any], out: Path) -> None:
    folder = out.parent / "data"
    folder.mkdir()
    rows = [json.loads(line) for line in Path(job["rows"]).read_text().splitlines()]
    if job["kind"] == "dpo":
        rows = [{**row, "chosen": row["chosen"][0], "rejected": row["rejected"][0]} for row in rows]
    (folder / "rows.json").write_text(json.dumps(rows))
    columns = {"messages": "messages"}
    if job["kind"] == "dpo":
        columns = {"messages": "prompt", "chosen": "chosen", "rejected": "rejected"}
    described = {
        "file_name": "rows.json",
        "formatting": "sharegpt",
        "ranking": job["kind"] == "dpo",
        "columns": columns,
        "tags": TAGS,
    }
    (folder / "dataset_info.json").write_text(json.dumps({"rows": described}))
    register_template(  # the model's own, in LLaMA-Factory's words
        name="bench",
        format_user=StringFormatter(slots=["<|user|>{{content}}<|end|><|assistant|>"]),
        format_assistant=StringFormatter(slots=["{{content}}<|end|>"]),
        format_system=StringFormatter(slots=["<|system|>{{content}}<|end|>"]),
    )
    clock = Clock()
    common = {
        "stage": job["kind"],
        "do_train": True,
        "model_name_or_path": job["model"],
        "dataset_dir": str(folder),
        "dataset": "rows",
        "template": "bench",
        "finetuning_type": "lora" if job["rank"] else "full",
        **({"lora_rank": job["rank"], "lora_alpha": 32, "lora_target": "all"} if job["rank"] else {}),
        "cutoff_len": 1024,
        "output_dir": str(out.parent / "llamafactory"),
        "per_device_train_batch_size": 4,
        "gradient_accumulation_steps": 1,
        "num_train_epochs": 1,
        "learning_rate": 1e-4,
        "logging_steps": 1,
        "save_strategy": "no",
        "report_to": "none",
        "disable_tqdm": True,
        "use_cpu": True,
    }
    run_exp({**common, **job["settings"]}, callbacks=[clock])
    result = {
        "train_seconds": clock.ended - clock.began,
        "peak_rss_mb": peak_mb(),
        "steps": clock.steps,
        "tokens": clock.tokens,
        "supervised_tokens": clock.supervised,
        "first_loss": clock.losses[0],
        "last_loss": clock.losses[-1],
    }
    out.write_text(json.dumps(result))


if __name__ == "__main__":
    main(json.loads(Path(sys.argv[1]).read_bytes()), Path(sys.argv[2]))
