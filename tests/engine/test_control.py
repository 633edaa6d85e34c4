"""Pause, stop, cancel and SIGTERM while the engine trains."""

import os
import signal
from multiprocessing.process import BaseProcess
from pathlib import Path

from tests.engine.conftest import Engines, losses
from tests.engine.test_resume import checkpoints, weights_of
from tests.toys import attempt

LONG = {"epochs": 40, "batch_size": 4, "gradient_accumulation_steps": 1, "checkpoint_steps": 1000}


def test_pause_saves_and_resume_goes_on_exactly(engines: Engines, base: Path, tmp_path: Path) -> None:
    settings = {**LONG, "epochs": 2, "lora_dropout": 0.1}
    whole = attempt(tmp_path / "whole", base, **settings)
    engines.run(whole)
    first = attempt(tmp_path / "first", base, **settings)
    engines.run_until(first, 3, lambda child: first.ask("pause"))
    result = first.read_result()
    assert result is not None
    assert result["status"] == "paused"
    assert result["output"] is None
    (saved,) = checkpoints(first)
    assert saved.name == f"step-{result['steps']:08d}"

    second = attempt(tmp_path / "second", base, number=2, resume_from=[saved], **settings)
    assert engines.run(second)["status"] == "succeeded"
    assert {**losses(first), **losses(second)} == losses(whole)
    assert weights_of(second) == weights_of(whole)


def test_sigterm_means_save_and_pause(engines: Engines, base: Path, tmp_path: Path) -> None:
    folder = attempt(tmp_path / "run", base, **LONG)

    def terminate(child: BaseProcess) -> None:
        assert child.pid is not None
        os.kill(child.pid, signal.SIGTERM)

    engines.run_until(folder, 2, terminate)
    result = folder.read_result()
    assert result is not None
    assert (result["status"], result["error"]) == ("paused", None)
    assert len(checkpoints(folder)) == 1


def test_stop_keeps_the_model_so_far(engines: Engines, base: Path, tmp_path: Path) -> None:
    folder = attempt(tmp_path / "run", base, **LONG)
    engines.run_until(folder, 2, lambda child: folder.ask("stop"))
    result = folder.read_result()
    assert result is not None
    assert (result["status"], result["output"], result["output_kind"]) == ("stopped", "output", "adapter")
    assert 2 <= result["steps"] < 640
    assert (folder.output / "adapter_model.safetensors").is_file()
    assert len(checkpoints(folder)) == 1


def test_cancel_leaves_at_once(engines: Engines, base: Path, tmp_path: Path) -> None:
    folder = attempt(tmp_path / "run", base, **LONG)
    engines.run_until(folder, 2, lambda child: folder.ask("cancel"))
    result = folder.read_result()
    assert result is not None
    assert result["status"] == "cancelled"
    assert not folder.output.exists()
    assert checkpoints(folder) == []
