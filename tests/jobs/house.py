"""A data folder with a project, a dataset and a base model, and worker processes to kill, without any torch."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer, models, pre_tokenizers

from tests import patience
from tests.hold import Hold
from tunery.blobs.point import BLOBS
from tunery.core.attempt import attempt_folder
from tunery.core.folder import DataFolder
from tunery.core.process import ProcessIdentity
from tunery.core.settings import ServerSettings
from tunery.db.engine import open_database, reading, writing
from tunery.schemas.dataset import ImportOptions
from tunery.schemas.run import RunDetail, RunSpec
from tunery.services import imports, runs
from tunery.services.context import Context
from tunery.services.tokens import first_start

FAKE_ENGINE = [sys.executable, str(Path(__file__).parent / "fake_engine.py")]


def bare_model(folder: Path, name: str = "bare") -> Path:
    """A folder that passes inspection; nothing could be computed with it."""
    path = folder / name
    path.mkdir(parents=True)
    config = {"architectures": ["LlamaForCausalLM"], "model_type": "llama", "max_position_embeddings": 64}
    (path / "config.json").write_text(json.dumps(config))
    header = json.dumps({"w": {"dtype": "F32", "shape": [2, 2], "data_offsets": [0, 16]}}).encode()
    (path / "model.safetensors").write_bytes(len(header).to_bytes(8, "little") + header + bytes(16))
    tokenizer = Tokenizer(models.BPE(vocab={"a": 0}, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel()  # pyright: ignore[reportAttributeAccessIssue]
    tokenizer.save(str(path / "tokenizer.json"))
    (path / "chat_template.jinja").write_text("{% for m in messages %}{{ m.content }}{% endfor %}")
    return path


def alpaca(path: Path, rows: int) -> Path:
    lines = (json.dumps({"instruction": f"Say {n}", "input": "", "output": f"{n}!"}) for n in range(rows))
    path.write_text("\n".join(lines) + "\n")
    return path


@dataclass
class House:
    """Everything a job test needs, on a real database."""

    folder: Path
    settings: ServerSettings
    workers: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.hold = Hold(self.folder / "hold")
        for path in DataFolder(self.settings.folder).folders:
            path.mkdir(parents=True, exist_ok=True)
        self.engine = open_database(self.settings)
        self.blobs = BLOBS.load("local").open_store(str(self.settings.folder / "blobs"))
        with writing(self.engine) as connection:
            self.project, _ = first_start(connection)

    @contextmanager
    def context(self) -> Iterator[Context]:
        with writing(self.engine) as connection:
            yield Context(connection, self.settings, self.blobs, self.project)

    def start_worker(self) -> subprocess.Popen[bytes]:
        chosen = {
            "TUNERY_ENGINE_COMMAND": json.dumps(self.settings.engine_command),
            "TUNERY_HEARTBEAT_SECONDS": str(self.settings.heartbeat_seconds),
            "TUNERY_LEASE_SECONDS": str(self.settings.lease_seconds),
            "TUNERY_DATABASE_URL": self.settings.database_url,
            "TUNERY_ENGINE_SLOTS": str(self.settings.engine_slots),
            "TUNERY_STANDBY_ENGINES": str(self.settings.standby_engines),
            **self.hold.environment,
        }
        with (self.folder / "worker.log").open("ab") as log:
            worker = subprocess.Popen(
                [sys.executable, "-m", "tunery.jobs", "--data", str(self.settings.folder)],
                env={**os.environ, **chosen},
                stdout=log,
                stderr=log,
            )
        self.workers.append(worker)
        return worker

    def import_rows(self, name: str, file: Path, **options: Any) -> None:
        with self.context() as ctx:
            imports.import_file(
                ctx, name=name, source=file, filename=file.name, options=ImportOptions(**options)
            )

    def submit(self, model: Path, steps: int, **changes: Any) -> str:
        spec = RunSpec.model_validate(
            {"base_model": str(model), "data": "rows", "settings": {"max_steps": steps}, **changes}
        )
        with self.context() as ctx:
            return runs.submit(ctx, spec).id

    def ask(self, run: str, verb: Any) -> None:
        with self.context() as ctx:
            runs.ask(ctx, run, verb)

    def run(self, id: str) -> RunDetail:
        with reading(self.engine) as connection:
            return runs.get_run(Context(connection, self.settings, self.blobs, self.project), id)

    def losses(self, id: str) -> list[float]:
        with reading(self.engine) as connection:
            ctx = Context(connection, self.settings, self.blobs, self.project)
            return runs.metrics(ctx, id, ["train_loss"])[0].values

    def engine_process(self, run: str, attempt: int) -> ProcessIdentity | None:
        return ProcessIdentity.load(attempt_folder(self.settings.folder, run, attempt).process)

    def wait(self, what: str, ready: Callable[[], object]) -> None:
        try:
            patience.wait(what, ready)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.log()}") from error

    def wait_for_state(self, run: str, *states: str) -> RunDetail:
        self.wait(f"{run} to be {states}, not {self.run(run).state}", lambda: self.run(run).state in states)
        return self.run(run)

    def wait_for_step(self, run: str, step: int) -> None:
        self.wait(f"step {step}", lambda: self.run(run).progress.step >= step)

    def freeze(self, worker: subprocess.Popen[bytes]) -> None:
        """SIGSTOP, at a moment when it doesn't hold the one write lock: then everyone would stand still."""

        def frozen() -> bool:
            self._stop(worker)
            free = self._may_write()
            if not free:
                worker.send_signal(signal.SIGCONT)
            return free

        self.wait("a moment when nothing is written", frozen)

    def kill_amid(self, worker: subprocess.Popen[bytes], what: str, under_way: Callable[[], object]) -> None:
        """kill -9 while `what` is under way: the worker stands still while that is looked at.

        `under_way` may only read: the worker may hold the one write lock.
        """

        def killed() -> bool:
            self._stop(worker)
            there = bool(under_way())
            worker.send_signal(signal.SIGKILL if there else signal.SIGCONT)
            return there

        self.wait(what, killed)
        worker.wait()

    def _stop(self, worker: subprocess.Popen[bytes]) -> None:
        worker.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, worker.pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)

    def _may_write(self) -> bool:
        if self.engine.dialect.name == "postgresql":
            with reading(self.engine) as connection:
                held = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND database = "
                mine = "(SELECT oid FROM pg_database WHERE datname = current_database())"
                return connection.exec_driver_sql(held + mine).scalar() == 0
        # The engine's own driver: two copies of SQLite in one process take away each other's locks.
        driver: Any = self.engine.dialect.dbapi
        probe = driver.connect(str(self.settings.folder / "tunery.db"), timeout=0)
        try:
            probe.execute("BEGIN IMMEDIATE")
            return True
        except driver.OperationalError:
            return False
        finally:
            probe.rollback()
            probe.close()

    def log(self) -> str:
        path = self.folder / "worker.log"
        return path.read_text()[-4000:] if path.exists() else "(no worker ran)"

    def close(self) -> None:
        for worker in self.workers:
            worker.kill()
            worker.wait()
        self.engine.dispose()
