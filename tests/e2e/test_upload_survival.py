"""An upload whose connection is cut and whose server is killed: every byte that was acknowledged is there, once."""

import hashlib
import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.standin import Gate
from bench.upload import measure
from tests.e2e.whole import Whole
from tests.patience import PATIENCE, wait
from tests.sdk.cutting_proxy import cutting_proxy
from tests.served import environment
from tunery.sdk.client import Client

pytestmark = [pytest.mark.slow, pytest.mark.e2e]
ROWS = 120_000
SECOND_HALF = b"Repeat once more "
"""In every row of it."""


@pytest.fixture
def whole(tmp_path: Path, free_port: int) -> Iterator[Whole]:
    made = Whole(tmp_path, free_port)
    yield made
    made.close()


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("rows") / "rows.jsonl"
    with path.open("w") as file:
        for number in range(ROWS):
            says = "Repeat" if number < ROWS // 2 else SECOND_HALF.decode().strip()
            line = {"instruction": f"{says} {number}: {'abc ' * 60}", "output": f"{number} it is"}
            file.write(json.dumps(line) + "\n")
    return path


def test_a_server_killed_amid_an_upload_loses_nothing(whole: Whole, rows: Path) -> None:
    client = whole.start()
    size = rows.stat().st_size
    assert size > 30_000_000
    told: list[int] = []
    starts: list[threading.Thread] = []

    def progress(done: int, total: int) -> None:
        told.append(done)
        if done > 10_000_000 and not starts:
            whole.kill_server()
            starts.append(threading.Thread(target=whole.start))
            starts[0].start()

    made = client.datasets.create(rows, name="large", checksum=True, progress=progress)
    starts[0].join()
    assert told == sorted(told)
    assert told[-1] == size
    assert client.datasets.wait(made.name).rows == ROWS


def test_a_connection_cut_again_and_again_is_taken_up_where_it_was(whole: Whole, rows: Path) -> None:
    whole.start()
    token = (whole.folder / "token").read_text()
    with (
        cutting_proxy(whole.url, first=3_000_000, more=1_500_000, asked=True) as proxy,
        Client(proxy.url, token) as client,
    ):
        made = client.datasets.create(rows, name="cut", checksum=True)
        assert client.datasets.wait(made.name).rows == ROWS
    assert proxy.cuts >= 3


def test_a_client_killed_amid_an_upload_goes_on_when_called_again(whole: Whole, rows: Path) -> None:
    client = whole.start()
    token = (whole.folder / "token").read_text()
    size = rows.stat().st_size
    gate = Gate(whole.port, SECOND_HALF)
    command = [sys.executable, "-m", "tunery.cli", "data", "import", str(rows), "--name", "again", "--json"]
    variables = environment(whole.folder, TUNERY_URL=whole.url, TUNERY_TOKEN=token)
    first = subprocess.Popen(command, env={**variables, "TUNERY_URL": gate.url}, stdout=subprocess.DEVNULL)
    assert gate.reached.wait(PATIENCE)
    wait("the first half", lambda: any(one.offset for one in client.uploads.list().data))
    first.kill()
    first.wait()
    gate.close()
    (left,) = client.uploads.list().data
    assert 0 < left.offset < size
    staged = (whole.data / "uploads" / left.id).read_bytes()
    assert hashlib.sha256(staged).digest() == hashlib.sha256(rows.read_bytes()[: len(staged)]).digest()
    done = subprocess.run(command, env=variables, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["rows"] == ROWS
    assert client.uploads.list().data == []


def test_the_measured_upload_at_a_hundredth_of_its_size(tmp_path: Path) -> None:
    """What `python -m bench.upload` does with 10 GB."""
    found = measure(tmp_path, 100_000_000)
    assert found["lost_bytes"] == 0
    assert found["rows"] == found["rows_written"]
    assert found["server_mb"] < 400
    assert found["worker_mb"] < 400
