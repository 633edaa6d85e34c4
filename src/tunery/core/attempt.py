"""The attempt folder: the seam between the control plane and the engine. Its file names are spelled here only.

    runs/<run>/<attempt>/            runs/<run>/evaluate-<attempt>/
        spec.yaml       the resolved spec, frozen                      (control plane writes, once)
        attempt.json    inputs as local paths, resume point, threads   (control plane writes, once)
        control.json    what the control plane wants now               (control plane writes)
        process.json    who runs here: pid, start time, boot           (launcher writes, once)
        events.jsonl    what happened, appended                        (engine writes)
        log.txt         stdout and stderr of the engine                (launcher opens)
        checkpoints/    step-00000042/ …                               (engine writes)
        output/         the trained model or adapter                   (engine writes)
        rows.jsonl      the scored rows of an evaluation               (engine writes)
        result.json     how it ended; last of all                      (engine writes, once)
        .reserve        room on the disk for the last words            (engine holds while it works)

It knows nothing of runs in a database, of torch or of what the documents mean beyond their shape.
"""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import orjson
import yaml

from tunery.core.errors import Problem
from tunery.core.files import append_line, read_json, whole_lines, write_bytes, write_json

Want = Literal["run", "stop", "pause", "cancel"]
"""run: go on. stop: save, finish, keep the model so far. pause: save and free the device. cancel: leave at once."""


_RESERVE_BYTES = 128 * 2**10


@dataclass(frozen=True)
class AttemptFolder:
    """Paths, and typed reading and writing, of one attempt's folder."""

    path: Path

    @property
    def checkpoints(self) -> Path:
        return self.path / "checkpoints"

    def checkpoint(self, step: int) -> Path:
        """The folder of the checkpoint at a step."""
        return self.checkpoints / f"step-{step:08d}"

    @property
    def output(self) -> Path:
        return self.path / "output"

    @property
    def log(self) -> Path:
        return self.path / "log.txt"

    @property
    def events(self) -> Path:
        return self.path / "events.jsonl"

    @property
    def rows(self) -> Path:
        return self.path / "rows.jsonl"

    @property
    def result(self) -> Path:
        return self.path / "result.json"

    @property
    def process(self) -> Path:
        return self.path / "process.json"

    @property
    def _spec(self) -> Path:
        return self.path / "spec.yaml"

    @property
    def _attempt(self) -> Path:
        return self.path / "attempt.json"

    @property
    def _control(self) -> Path:
        return self.path / "control.json"

    @property
    def _reserve(self) -> Path:
        return self.path / ".reserve"

    def prepare(self, spec: dict[str, Any], attempt: dict[str, Any]) -> None:
        """Lay out a new attempt. Everything the engine needs is here before it starts."""
        self.path.mkdir(parents=True, exist_ok=True)
        write_bytes(self._spec, yaml.safe_dump(spec, sort_keys=False, allow_unicode=True).encode())
        write_json(self._attempt, attempt)
        self.ask("run")

    def read_spec(self) -> dict[str, Any]:
        """The frozen spec. Raises Problem `attempt_folder_invalid`."""
        try:
            value = yaml.safe_load(self._spec.read_text(encoding="utf-8"))
        except (OSError, yaml.YAMLError) as error:
            raise Problem("attempt_folder_invalid", path=str(self.path), detail=str(error)) from error
        if not isinstance(value, dict):
            raise Problem("attempt_folder_invalid", path=str(self.path), detail="spec.yaml isn't a mapping")
        return value

    def read_attempt(self) -> dict[str, Any]:
        """Inputs and resume point. Raises Problem `attempt_folder_invalid`."""
        try:
            return read_json(self._attempt)
        except (OSError, ValueError) as error:
            raise Problem("attempt_folder_invalid", path=str(self.path), detail=str(error)) from error

    def ask(self, want: Want) -> None:
        """Tell the engine what is wanted of it."""
        write_json(self._control, {"want": want})

    def wanted(self) -> Want:
        """What the control plane wants now; `run` where nothing was said."""
        try:
            return read_json(self._control)["want"]  # pyright: ignore[reportReturnType]
        except FileNotFoundError:
            return "run"

    def control_mark(self) -> tuple[int, int] | None:
        """Changes when control.json does; far cheaper to ask for than its content."""
        try:
            status = self._control.stat()
        except FileNotFoundError:
            return None
        return status.st_mtime_ns, status.st_ino

    def append_event(self, event: dict[str, Any]) -> None:
        append_line(self.events, orjson.dumps(event))

    def read_events(self, offset: int = 0) -> tuple[list[dict[str, Any]], int]:
        """Whole event lines from byte `offset`, and the offset to go on from."""
        found: list[dict[str, Any]] = []
        for line, after in whole_lines(self.events, offset):
            found.append(orjson.loads(line))
            offset = after
        return found, offset

    def write_rows(self, rows: list[dict[str, Any]]) -> None:
        """The scored rows, one a line."""
        write_bytes(self.rows, b"".join(orjson.dumps(row) + b"\n" for row in rows))

    def last_sign(self) -> int | None:
        """When the engine last wrote something here, in microseconds; None where it never did."""
        found = [path.stat().st_mtime_ns for path in (self.events, self.log, self.result) if path.exists()]
        return max(found) // 1000 if found else None

    def reserve(self) -> None:
        """Hold some room on the disk, so that the last words can be written when it is full."""
        with self._reserve.open("wb") as file:
            os.posix_fallocate(file.fileno(), 0, _RESERVE_BYTES)

    def free_reserve(self) -> None:
        """Give the room back; harmless when there is none."""
        self._reserve.unlink(missing_ok=True)

    def write_result(self, result: dict[str, Any]) -> None:
        """The engine's last word."""
        write_json(self.result, result)

    def read_result(self) -> dict[str, Any] | None:
        """How it ended, or None while it hasn't."""
        try:
            return read_json(self.result)
        except FileNotFoundError:
            return None


@dataclass(frozen=True)
class RunFolder:
    """The folder of one run: its attempts, its rows and, where no server keeps it, its result."""

    path: Path

    @property
    def data(self) -> Path:
        """Where the run's rows lie, as its engines read them."""
        return self.path / "data"

    @property
    def start(self) -> Path:
        """The earlier model that the run goes on from, kept for it whatever becomes of the run that made it."""
        return self.path / "start"

    @property
    def result(self) -> Path:
        """The last attempt's result, for people, where the run has no server."""
        return self.path / "result.json"

    @property
    def lock(self) -> Path:
        """Held by whoever drives the run, where it has no server."""
        return self.path / ".lock"

    def attempt(self, number: int, stage: str = "train") -> AttemptFolder:
        """The folder of one attempt at a stage."""
        return AttemptFolder(self.path / (f"{number:04d}" if stage == "train" else f"{stage}-{number:04d}"))

    def attempts(self) -> list[int]:
        """Numbers of the attempts at training that there are, ascending."""
        return sorted(int(found.name) for found in self.path.glob("[0-9]*") if found.name.isdigit())

    def checkpoints(self) -> list[Path]:
        """Every checkpoint folder of every attempt, furthest step first."""
        found = self.path.glob("*/checkpoints/step-*")
        return sorted(found, key=lambda folder: (folder.name, folder.parent.parent.name), reverse=True)


def run_folder(data: Path, run: str) -> RunFolder:
    """The folder of a run under a data folder."""
    return RunFolder(data / "runs" / run)


def attempt_folder(data: Path, run: str, attempt: int, stage: str = "train") -> AttemptFolder:
    """The folder of one attempt at a stage of a run, under a data folder."""
    return run_folder(data, run).attempt(attempt, stage)


def checkpoint_folders(data: Path, run: str) -> list[Path]:
    """Every checkpoint folder of every attempt of a run, furthest step first."""
    return run_folder(data, run).checkpoints()


def run_data_folder(data: Path, run: str) -> Path:
    """Where a run's rows lie, as its engines read them."""
    return run_folder(data, run).data
