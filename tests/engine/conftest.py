"""Starts the real engine for tests: a process of its own each time, from a server that has torch imported already."""

import multiprocessing
import os
import signal
from collections.abc import Callable, Iterator
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import pytest

from tests import patience
from tests.held_engine import hold_back
from tests.hold import Hold
from tests.patience import PATIENCE
from tests.toys import toy_model
from tunery.core.attempt import AttemptFolder
from tunery.core.files import read_json
from tunery.engine.__main__ import main


class Engines:
    """Runs attempts, one process each."""

    def __init__(self) -> None:
        self._context = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload(["tunery.engine.train", "tunery.engine.evaluate", "peft"])

    def start(self, folder: AttemptFolder, hold: Hold | None = None) -> BaseProcess:
        child = self._context.Process(target=_work, args=(str(folder.path), hold and hold.path))
        child.start()
        return child

    def run(self, folder: AttemptFolder) -> dict[str, Any]:
        """Until it ends by itself; returns result.json."""
        child = self.start(folder)
        child.join(PATIENCE)
        assert child.exitcode is not None, "the engine doesn't end"
        child.close()
        result = folder.read_result()
        assert result is not None, folder.log.read_text()
        return result

    def run_until(self, folder: AttemptFolder, step: int, do: Callable[[BaseProcess], None]) -> None:
        """Start it, do something to it when a metric of `step` appeared, wait for its end.

        That happens somewhere between this step and the end of the next: there it waits until it was done.
        """
        hold = Hold(folder.path / "hold")
        hold.at(step + 1)
        child = self.start(folder, hold)

        def reached() -> bool:
            lives = child.is_alive()
            there = any(event["step"] >= step for event in events(folder, "metric"))
            assert there or lives, f"it ended before step {step}:\n{folder.log.read_text()}"
            return there

        patience.wait(f"step {step}", reached, pause=0.001)
        do(child)
        hold.release()
        child.join(PATIENCE)
        child.close()


def _work(path: str, hold: Path | None) -> None:
    if hold is not None:
        hold_back(hold)
    log = os.open(AttemptFolder(Path(path)).log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(log, 1)
    os.dup2(log, 2)
    os._exit(main(path))


def events(folder: AttemptFolder, type: str) -> list[dict[str, Any]]:
    """The events of one type so far."""
    return [event for event in folder.read_events()[0] if event["type"] == type]


def losses(folder: AttemptFolder) -> dict[int, float]:
    """Training loss by step."""
    return {
        event["step"]: event["values"]["train_loss"]
        for event in events(folder, "metric")
        if "train_loss" in event["values"]
    }


def kill_hard(child: BaseProcess) -> None:
    assert child.pid is not None
    os.kill(child.pid, signal.SIGKILL)


def damage(file: Path) -> None:
    """Cut a file short, as a full disk or a lost power does."""
    with file.open("r+b") as opened:
        opened.truncate(file.stat().st_size // 2)


def manifest(checkpoint: Path) -> dict[str, Any]:
    return read_json(checkpoint / "manifest.json")


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> Iterator[None]:
    """Of torch in the tests' own process: several that wait for each other starve on a busy machine."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="session")
def engines() -> Iterator[Engines]:
    with pytest.MonkeyPatch.context() as patch:
        for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS"):
            patch.setenv(name, "1")
        yield Engines()


@pytest.fixture(scope="session")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny Llama with random weights."""
    return toy_model(tmp_path_factory.mktemp("toy") / "llama")
