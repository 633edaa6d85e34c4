"""A server with the fake engine, and a folder of files whose rows are also its datasets."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.patience import PATIENCE
from tests.recipes.rows import question, write
from tests.served import Served, server
from tunery.sdk.client import Client


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with server(tmp_path_factory.mktemp("recipes")) as found:
        yield found


@pytest.fixture(scope="module")
def client(served: Served) -> Iterator[Client]:
    with Client(served.url, served.token) as found:
        yield found


@pytest.fixture(scope="module")
def desk(served: Served, client: Client) -> Path:
    """`large` of 400 rows, `small` of 60 longer ones, `few` of 40, `exam` of 30 of which 4 are in `large`, `prose`."""
    large = [question(f"Where does number {n} of the red series stand?", f"Shelf {n}.") for n in range(400)]
    write(served.folder / "large.jsonl", large)
    write(
        served.folder / "small.jsonl",
        [question(f"{n}: " + "what next? " * 20, f"{n + 1}.") for n in range(60)],
    )
    write(
        served.folder / "few.jsonl",
        [question(f"Name plant {n} of the garden.", f"Plant {n}.") for n in range(40)],
    )
    exam = [question(f"Which boat is the one called {n * 'z'}{n}?", f"Boat {n}.") for n in range(26)]
    same = [question(f"WHERE does  number {n} of the red series stand?", "Elsewhere.") for n in range(4)]
    write(served.folder / "exam.jsonl", exam + same)
    write(
        served.folder / "prose.jsonl",
        [{"text": f"The {n}th lighthouse stands on its cape."} for n in range(150)],
    )
    for name in ("large", "small", "few", "exam", "prose"):
        client.datasets.create(served.folder / f"{name}.jsonl", name=name)
        client.datasets.wait(name, timeout=PATIENCE)
    return served.folder
