"""What a local run would need: its rows laid out aside, an engine that tries it for a moment, nothing kept."""

import tempfile
from pathlib import Path

from tunery.cli.local_data import LocalData, checked_files
from tunery.cli.local_engine import lost, run_engine
from tunery.cli.local_preview import resolve_files
from tunery.core.attempt import RunFolder
from tunery.core.errors import Problem
from tunery.core.settings import ServerSettings
from tunery.launch.point import LAUNCHERS
from tunery.models.folder import inspect_folder
from tunery.schemas.engine import EngineInput, EngineSpec
from tunery.schemas.estimate import EstimateResult
from tunery.schemas.run import RunSpec


def estimate(spec: RunSpec, *, accept_bad_rows: bool) -> EstimateResult:
    """Measure it. Raises the Problem that training would."""
    base = inspect_folder(Path(spec.base_model))
    launcher = LAUNCHERS.load(spec.resources.launcher)
    with tempfile.TemporaryDirectory(prefix="tunery-") as scratch:
        folder = RunFolder(Path(scratch))
        folder.data.mkdir()
        with checked_files(spec, folder.data, accept_bad_rows=accept_bad_rows) as files:
            resolved = resolve_files(spec, base, files)
            files.lay_out(folder.data, resolved)
        data = LocalData.of_folder(folder.data)
        threads = spec.resources.threads or ServerSettings().engine_threads
        given = EngineInput(
            kind="estimate",
            attempt=1,
            token=1,
            base_model=str(base.path),
            train=data.train,
            validation=data.validation,
            threads=threads,
        )
        attempt = folder.attempt(1)
        attempt.prepare(
            EngineSpec(run="estimate", resolved=resolved).model_dump(mode="json"),
            given.model_dump(mode="json"),
        )
        result, interrupted = run_engine(launcher, attempt)
        if interrupted:
            raise KeyboardInterrupt
        if result is None:
            raise lost(attempt)
        found = EstimateResult.model_validate(result)
        if found.error is not None:
            raise Problem.from_dict(found.error)
        return found
