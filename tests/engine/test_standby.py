"""The engine that waited with everything imported trains exactly what a new one trains."""

import sys
from pathlib import Path

import pytest

from tests.engine.conftest import Engines, losses
from tests.patience import PATIENCE, wait
from tests.toys import attempt
from tunery.core import standby
from tunery.core.attempt import AttemptFolder
from tunery.core.process import ProcessIdentity
from tunery.launch import local

COMMAND = [sys.executable, "-m", "tunery.engine"]


def ended(folder: AttemptFolder) -> bool:
    return not local.alive(folder)


@pytest.mark.slow
def test_equal_bit_for_bit_and_with_the_threads_of_the_run(
    engines: Engines, base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(standby, "_ANSWER_SECONDS", PATIENCE)  # it answers as soon as Python has started
    settings = {
        "epochs": 1,
        "batch_size": 4,
        "gradient_accumulation_steps": 1,
        "learning_rate": 2e-3,
        "lora_dropout": 0.2,
        "neftune": 5.0,
        "seed": 3,
    }
    new = attempt(tmp_path / "new", base, **settings)
    assert engines.run(new)["status"] == "succeeded"

    # Before it knows the run it is ready to use every core; the run wants one thread.
    waiting = local.stand_by(COMMAND, {})
    try:
        waited = attempt(tmp_path / "waited", base, **settings)
        local.start([*COMMAND, str(waited.path)], waited, {})
        assert ProcessIdentity.load(waited.process) == waiting
        wait("its end", lambda: ended(waited))
    finally:
        local.stand_down()
    result = waited.read_result()
    assert result is not None, waited.log.read_text()
    assert result["status"] == "succeeded"
    assert losses(waited) == losses(new)
    weights = "adapter_model.safetensors"
    assert (waited.output / weights).read_bytes() == (new.output / weights).read_bytes()
    assert "step 1 " in waited.log.read_text()
