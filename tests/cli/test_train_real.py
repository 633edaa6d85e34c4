"""`tunery train` with the real engine on a tiny real model: interrupted and resumed it gives the same model."""

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.test_train import wait_for_checkpoint
from tests.held_engine import HELD_ENGINE
from tests.hold import Hold
from tests.patience import PATIENCE
from tests.served import environment
from tests.toys import toy_conversations, toy_model

YAML = """
base_model: base
data: rows.jsonl
evaluate: {dataset: held.jsonl, metrics: [loss], max_rows: 8}
settings: {epochs: 4, max_sequence_length: 128, checkpoint_steps: 4, checkpoint_limit: 100, lora_dropout: 0.1}
"""


def write_rows(path: Path, count: int, seed: int) -> None:
    rows = [
        [{"role": m.role, "content": m.text} for m in row.messages] for row in toy_conversations(count, seed)
    ]
    path.write_text("".join(json.dumps({"messages": row}) + "\n" for row in rows))


def start(desk: Path, *arguments: str) -> "subprocess.Popen[str]":
    real = environment(desk, TUNERY_ENGINE_COMMAND=json.dumps(HELD_ENGINE))
    return subprocess.Popen(
        [sys.executable, "-m", "tunery.cli", "train", *arguments, "--json"],
        cwd=desk,
        env=real,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def end(process: "subprocess.Popen[str]", code: int = 0) -> dict:
    said, noted = process.communicate(timeout=4 * PATIENCE)
    assert process.returncode == code, noted
    return json.loads(said)


def weights(desk: Path, result: dict) -> bytes:
    (file,) = (desk / Path(result["folder"]).name / result["output"]).glob("*.safetensors")
    return file.read_bytes()


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_interrupted_and_resumed_is_the_same_model(tmp_path: Path) -> None:
    toy_model(tmp_path / "base")
    write_rows(tmp_path / "rows.jsonl", 120, 0)
    write_rows(tmp_path / "held.jsonl", 20, 1)
    (tmp_path / "run.yaml").write_text(YAML)
    through = end(start(tmp_path, "run.yaml", "--out", "through", "--threads", "1"))
    assert through["last_loss"] < through["first_loss"]
    assert through["evaluation"]["tuned"]["loss"]["mean"] < through["evaluation"]["base"]["loss"]["mean"]

    hold = Hold(tmp_path / "hold")
    hold.at(6)
    process = start(tmp_path, "run.yaml", "--out", "broken", "--threads", "1")
    wait_for_checkpoint(tmp_path / "broken", process)
    process.send_signal(signal.SIGINT)
    hold.release()
    stopped = end(process, code=130)
    assert 0 < stopped["steps"] < through["steps"]
    resumed = end(start(tmp_path, "--resume", "broken"))
    assert resumed["steps"] == through["steps"]
    assert weights(tmp_path, resumed) == weights(tmp_path, through)
