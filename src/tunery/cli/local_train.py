"""Training without a server: one folder holds the run, the same engine does the work.

    DIR/data/        the rows as the engine reads them, and those it couldn't use
    DIR/0001/ …      one attempt each, as a server lays them out
    DIR/result.json  how the last attempt ended

Everything that can be wrong with the input is found before DIR is made.
"""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from tunery.cli.local_data import LocalData, checked_files
from tunery.cli.local_engine import lost, run_engine
from tunery.cli.local_preview import resolve_files
from tunery.cli.output import note
from tunery.core.attempt import AttemptFolder, RunFolder
from tunery.core.clock import now_us
from tunery.core.error_kinds import KINDS
from tunery.core.errors import Problem
from tunery.core.files import FolderLock, fsync_folder, write_json
from tunery.core.ids import new_id
from tunery.core.settings import ServerSettings
from tunery.launch.point import LAUNCHERS
from tunery.models.folder import inspect_folder
from tunery.schemas.engine import EngineInput, EngineSpec
from tunery.schemas.run import ResolvedSpec, RunSpec

UNFINISHED = ("paused", "stopped", "failed", "cancelled")


@dataclass(frozen=True)
class Ended:
    """How a local training ended."""

    folder: RunFolder
    result: dict[str, Any]
    interrupted: bool


def begin(spec: RunSpec, out: Path | None, *, accept_bad_rows: bool) -> Ended:
    """Check everything, lay out a new run folder and train in it. Raises Problem."""
    _need_engine()
    LAUNCHERS.load(spec.resources.launcher)
    if out is not None:
        _refuse_taken(out)
    with _aside(out or Path.cwd()) as aside:
        resolved = _prepare(spec, RunFolder(aside), accept_bad_rows=accept_bad_rows)
        folder = RunFolder(out or Path.cwd() / "tunery-runs" / str(resolved.spec.name))
        _refuse_taken(folder.path)
        folder.path.parent.mkdir(parents=True, exist_ok=True)
        aside.rename(folder.path)
        fsync_folder(folder.path.parent)
    engine_spec = EngineSpec(run=new_id("run"), created=now_us(), resolved=resolved)
    with _held(folder):
        try:
            return _drive(folder, engine_spec, LocalData.of_folder(folder.data), number=1)
        except Problem as problem:
            if problem.status == KINDS["invalid_request"].status and not folder.checkpoints():
                shutil.rmtree(folder.path)  # the input was at fault: nothing half-made stays
            raise


def go_on(path: Path, spec: RunSpec | None) -> Ended:
    """Go on with the run in a folder from its newest checkpoint. A spec, if given, must be the one it began with."""
    _need_engine()
    folder = RunFolder(path)
    numbers = folder.attempts()
    if not numbers:
        raise Problem("attempt_folder_invalid", path=str(path), detail="it holds no attempt of a run")
    with _held(folder):
        last = folder.attempt(numbers[-1])
        engine_spec = EngineSpec.model_validate(last.read_spec())
        before = EngineInput.model_validate(last.read_attempt())
        _refuse_unresumable(folder, engine_spec, spec)
        if inspect_folder(Path(before.base_model)).content_hash() != engine_spec.resolved.base_model_hash:
            raise Problem("base_model_changed", path=before.base_model)
        data = LocalData.of_folder(folder.data)
        return _drive(folder, engine_spec, data, number=numbers[-1] + 1)


def _need_engine() -> None:
    if find_spec("torch") is None and not ServerSettings().engine_command:
        raise Problem("missing_extra", package="torch", extra="train")


def _refuse_taken(out: Path) -> None:
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise Problem("out_folder_taken", path=str(out))


@contextmanager
def _aside(out: Path) -> Iterator[Path]:
    """A folder on the same disk as `out`, gone again unless it was renamed."""
    near = next(parent for parent in out.absolute().parents if parent.is_dir())
    aside = Path(tempfile.mkdtemp(dir=near, prefix=".tunery-"))
    try:
        os.chmod(aside, 0o755)
        yield aside
    finally:
        shutil.rmtree(aside, ignore_errors=not aside.exists())


def _prepare(spec: RunSpec, folder: RunFolder, *, accept_bad_rows: bool) -> ResolvedSpec:
    base = inspect_folder(Path(spec.base_model))
    folder.data.mkdir()
    with checked_files(spec, folder.data, accept_bad_rows=accept_bad_rows) as files:
        resolved = resolve_files(spec, base, files)
        files.lay_out(folder.data, resolved)
    for line in (*resolved.notes, *(one.message for one in resolved.leaks if one.message)):
        note(line)
    # Hashing reads all weights, so it comes after everything that can be refused.
    return resolved.model_copy(update={"base_model_hash": base.content_hash()})


@contextmanager
def _held(folder: RunFolder) -> Iterator[None]:
    lock = FolderLock(folder.lock)
    if not lock.acquire():
        raise _busy(folder)
    try:
        yield
    finally:
        lock.release()


def _busy(folder: RunFolder) -> Problem:
    return Problem(
        "not_in_state",
        noun="the run in",
        name=str(folder.path),
        state="running",
        verb="resume",
        needed="ended",
    )


def _refuse_unresumable(folder: RunFolder, began: EngineSpec, spec: RunSpec | None) -> None:
    last = folder.attempt(folder.attempts()[-1])
    if LAUNCHERS.load(began.resolved.spec.resources.launcher).alive(last):
        raise _busy(folder)
    result = last.read_result()
    if result is not None and result.get("status") not in UNFINISHED:
        raise Problem(
            "not_in_state",
            noun="the run in",
            name=str(folder.path),
            state=str(result.get("status")),
            verb="resume",
            needed="unfinished",
        )
    if spec is not None and (different := _differences(spec, began.resolved.spec)):
        raise Problem("resume_differs", path=str(folder.path), fields=", ".join(different))
    if not folder.checkpoints():
        raise Problem("no_checkpoint", path=str(folder.path))


def _differences(given: RunSpec, began: RunSpec) -> list[str]:
    """What was given and isn't as the run began; what wasn't given can't differ."""
    said = given.model_dump(mode="json", exclude_unset=True)
    frozen = began.model_dump(mode="json")
    settings: dict[str, Any] = said.pop("settings", {})
    names = [name for name, value in said.items() if value is not None and not _within(value, frozen[name])]
    names += [
        f"settings.{k}" for k, v in settings.items() if v is not None and frozen["settings"].get(k) != v
    ]
    return names


def _within(value: Any, whole: Any) -> bool:
    if isinstance(value, dict) and isinstance(whole, dict):
        return all(name in whole and _within(part, whole[name]) for name, part in value.items())
    if isinstance(value, list) and isinstance(whole, list):
        return len(value) == len(whole) and all(map(_within, value, whole))
    return value == whole


def _drive(folder: RunFolder, spec: EngineSpec, data: LocalData, number: int) -> Ended:
    """One attempt at training, then the evaluation where one is wanted; leaves result.json."""
    run = spec.resolved.spec
    launcher = LAUNCHERS.load(run.resources.launcher)
    threads = run.resources.threads or ServerSettings().engine_threads
    attempt = folder.attempt(number)
    inputs = EngineInput(
        kind="train",
        attempt=number,
        token=number,
        base_model=str(Path(run.base_model)),
        train=data.train,
        validation=data.validation,
        parts=data.parts,
        resume_from=[str(path) for path in folder.checkpoints()],
        threads=threads,
        tokens=str((folder.data / "tokens").absolute()),
    )
    attempt.prepare(spec.model_dump(mode="json"), inputs.model_dump(mode="json"))
    result, interrupted = run_engine(launcher, attempt)
    if result is None and interrupted:
        note(
            f"Stopped without saving. Continue from the newest checkpoint with `tunery train --resume {folder.path}`."
        )
        raise KeyboardInterrupt
    if result is None:
        raise lost(attempt)
    if result.get("output"):
        result["output"] = f"{attempt.path.name}/{result['output']}"
    result["attempt"] = number
    write_json(folder.result, result)
    _refuse_failed(attempt, result)
    if data.held_out and result["status"] == "succeeded" and not interrupted:
        result["evaluation"] = _evaluate(folder, spec, data, number, result)
        write_json(folder.result, result)
    return Ended(folder, result, interrupted)


def _evaluate(
    folder: RunFolder, spec: EngineSpec, data: LocalData, number: int, trained: dict[str, Any]
) -> dict[str, Any]:
    """Base against tuned on the held-out rows."""
    run = spec.resolved.spec
    attempt = folder.attempt(number, "evaluate")
    inputs = EngineInput(
        kind="evaluate",
        attempt=number,
        token=number,
        base_model=run.base_model,
        adapter=str((folder.path / trained["output"]).resolve()),
        evaluate=data.held_out,
        threads=run.resources.threads or ServerSettings().engine_threads,
    )
    attempt.prepare(spec.model_dump(mode="json"), inputs.model_dump(mode="json"))
    result, interrupted = run_engine(LAUNCHERS.load(run.resources.launcher), attempt)
    if result is None and interrupted:
        raise KeyboardInterrupt
    if result is None:
        raise lost(attempt)
    _refuse_failed(attempt, result)
    return result


def _refuse_failed(attempt: AttemptFolder, result: dict[str, Any]) -> None:
    """Raise the Problem an engine failed with."""
    if result["status"] == "failed":
        note(f"The engine's log: {attempt.log}")
        raise Problem.from_dict(result["error"]) if result["error"] else lost(attempt)
