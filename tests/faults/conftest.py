"""A server with its worker and an engine that only counts, on a machine whose clock and disk obey."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.faults.scene import Scene
from tests.faults.shim import Machine, build
from tests.jobs.house import alpaca, bare_model
from tunery.sdk.client import Client


@dataclass(frozen=True)
class Running:
    """One server for all tests of these faults: each leaves it as it found it."""

    scene: Scene
    machine: Machine
    client: Client


def stocked(folder: Path) -> Scene:
    """A scene with a file of rows and a base model; nothing runs."""
    alpaca(folder / "rows.jsonl", 120)
    bare_model(folder)
    return Scene(folder)


@pytest.fixture(scope="session")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("faults")
    scene = stocked(folder)
    machine = Machine(build(folder), folder / "machine")
    prices = {"TUNERY_PRICE_PER_HOUR": "1", "TUNERY_CURRENCY": "EUR"}
    client = scene.up(**machine.environment, **prices, TUNERY_DATABASE_WAIT_SECONDS="1")
    scene.with_rows(client)
    yield Running(scene, machine, client)
    scene.close()


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    """One of its own."""
    made = stocked(tmp_path)
    yield made
    made.close()
