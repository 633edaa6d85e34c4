"""One attempt of the engine as the benches of it ask for one: a folder laid out, a process, its result. No server."""

import os
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from tunery.core.attempt import AttemptFolder
from tunery.core.settings import ServerSettings
from tunery.data.arrow import write_arrow
from tunery.launch.point import LAUNCHERS, engine_call
from tunery.methods.point import METHODS
from tunery.schemas.engine import EngineInput, EngineSpec
from tunery.schemas.run import ResolvedSpec, RunSpec


def run_engine(
    folder: Path, base: Path, lines: Iterable[bytes], method: str, given: dict[str, Any], kind: Any = "train"
) -> dict[str, Any]:
    """What result.json says; `lines` are the canonical rows, `given` settings of the method."""
    folder.mkdir(parents=True, exist_ok=True)
    data = folder / "train.arrow"
    write_arrow(data, lines)
    settings = METHODS.load(method).Settings.model_validate(given)
    spec = RunSpec.model_validate(
        {"method": method, "base_model": str(base), "data": {"train": [{"path": str(data)}]}}
    ).model_copy(update={"settings": settings.model_dump()})
    resolved = ResolvedSpec(spec=spec, origins={}, base_model_hash="", data_hashes={}, code_version="bench")
    inputs = EngineInput(
        kind=kind, attempt=1, token=1, base_model=str(base), train=[str(data)], threads=os.cpu_count() or 1
    )
    attempt = AttemptFolder(folder / "0001")
    attempt.prepare(EngineSpec(run="bench", resolved=resolved).model_dump(mode="json"), inputs.model_dump())
    launcher = LAUNCHERS.load("local")
    command, environment = engine_call(ServerSettings())
    launcher.start([*command, str(attempt.path)], attempt, environment)
    while launcher.alive(attempt):
        time.sleep(0.2)  # what is measured is the engine's own; looking seldom leaves it the processor
    result = attempt.read_result()
    assert result is not None, attempt.log.read_text()
    return result
