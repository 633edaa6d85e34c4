"""An upload of any size through a real server that is killed halfway: its rate beside a plain copy, memory, rows.

    python -m bench.upload [--gigabytes 10] [--seed 0]

The rows are generated, sent in parts by the client, and imported. Halfway the server is killed (SIGKILL) and started
again; the upload goes on where it was. Writes bench/results/upload.json.
"""

import argparse
import json
import os
import platform
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench.conversations import conversations
from tunery.sdk.client import Client

RESULT = Path(__file__).parent / "results" / "upload.json"
_BLOCK = 32_000_000
_PATIENCE = 7200.0


def main() -> None:
    """Measure, print, write the result."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--gigabytes", type=float, default=10.0)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        found = measure(Path(folder), int(options.gigabytes * 1e9), options.seed)
    sys.stdout.write(in_words(found))
    machine = {"processors": os.cpu_count(), "python": platform.python_version(), "load": os.getloadavg()[0]}
    RESULT.parent.mkdir(parents=True, exist_ok=True)
    RESULT.write_text(json.dumps({"options": vars(options), "machine": machine, **found}, indent=2) + "\n")


def in_words(found: dict[str, Any]) -> str:
    """The figures as lines."""
    return (
        f"{found['bytes'] / 1e9:.2f} GB sent in {found['send_seconds']:.1f} s, {found['send_rate']:.0f} MB/s "
        f"({found['copy_ratio']:.2f} of a plain copy with fsync); the server was killed at "
        f"{found['killed_at'] / 1e9:.2f} GB and lost {found['lost_bytes']} acknowledged bytes\n"
        f"imported in {found['import_seconds']:.1f} s: {found['rows']:,} of {found['rows_written']:,} rows\n"
        f"memory at most: server {found['server_mb']:.0f} MB, worker {found['worker_mb']:.0f} MB, "
        f"client {found['client_mb']:.0f} MB\n"
    )


def measure(folder: Path, size: int, seed: int = 0) -> dict[str, Any]:
    """Send and import about `size` bytes of rows; `folder` needs three times as much room."""
    source = folder / "rows.jsonl"
    rows = write_rows(source, size, seed)
    size = source.stat().st_size
    copied = _copy(source, folder / "copy")
    server = _Server(folder)
    server.start()
    try:
        with Client(server.url, server.token) as client:
            sent = _send(client, server, source, size)
            began = time.perf_counter()
            version = client.datasets.wait("soak", timeout=_PATIENCE)
            imported = time.perf_counter() - began
        server.look()
    finally:
        server.stop()
    return {
        "bytes": size,
        "rows_written": rows,
        "rows": version.rows,
        "send_seconds": sent["seconds"],
        "send_rate": size / 1e6 / sent["seconds"],
        "copy_seconds": copied,
        "copy_ratio": copied / sent["seconds"],
        "killed_at": sent["killed_at"],
        "lost_bytes": sent["lost"],
        "import_seconds": imported,
        "server_mb": server.peaks.get("server", 0.0),
        "worker_mb": server.peaks.get("worker", 0.0),
        "client_mb": _peak(os.getpid()),
    }


def write_rows(path: Path, size: int, seed: int) -> int:
    """Rows until the file has about `size` bytes; returns how many. A block of them repeats, each with its number."""
    block = [json.dumps(row, ensure_ascii=False)[1:] for row in conversations(min(size, _BLOCK), seed)]
    written = number = 0
    with path.open("w", encoding="utf-8") as file:
        while written < size:
            for rest in block:
                written += file.write(f'{{"id": {number}, {rest}\n')
                number += 1
                if written >= size:
                    break
    return number


def _send(client: Client, server: "_Server", source: Path, size: int) -> dict[str, Any]:
    """Send the file and queue its import. What the server had when it came back is compared with what it had said."""
    killed: dict[str, Any] = {}

    def progress(done: int, total: int) -> None:
        if done >= size // 2 and not killed:
            server.look()
            began = time.perf_counter()
            server.kill()
            server.start()
            (left,) = client.uploads.list().data
            killed.update(at=done, lost=max(0, done - left.offset), seconds=time.perf_counter() - began)

    began = time.perf_counter()
    client.datasets.create(source, name="soak", progress=progress)
    seconds = time.perf_counter() - began - killed["seconds"]
    server.look()
    return {"seconds": seconds, "killed_at": killed["at"], "lost": killed["lost"]}


def _copy(source: Path, target: Path) -> float:
    """Seconds of a plain copy that ends on the disk."""
    began = time.perf_counter()
    shutil.copyfile(source, target)
    with target.open("rb") as file:
        os.fsync(file.fileno())
    seconds = time.perf_counter() - began
    target.unlink()
    return seconds


@dataclass
class _Server:
    """`tunery up` on a folder of its own."""

    folder: Path
    token: str = ""
    peaks: dict[str, float] = field(default_factory=dict)
    process: "subprocess.Popen[str] | None" = None

    def __post_init__(self) -> None:
        with socket.socket() as listener:
            listener.bind(("127.0.0.1", 0))
            self.port = listener.getsockname()[1]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        clean = {name: value for name, value in os.environ.items() if not name.startswith("TUNERY_")}
        own = {"TUNERY_DATA": str(self.folder / "data"), "TUNERY_CONFIG": str(self.folder / "client.json")}
        command = [sys.executable, "-m", "tunery.cli", "up", "--port", str(self.port), "--json"]
        self.process = subprocess.Popen(command, env=clean | own, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        said = ""
        while not said.endswith("}\n"):
            line = self.process.stdout.readline()
            assert line, f"the server ended: {said}"
            said += line
        self.token = json.loads(said)["token"] or self.token

    def kill(self) -> None:
        assert self.process is not None
        self.process.kill()
        self._closed(self.process)

    def stop(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()
            self._closed(self.process)

    def look(self) -> None:
        """Note the highest memory of the server and of its worker so far."""
        assert self.process is not None
        for pid, name in [(self.process.pid, "server"), *((pid, "worker") for pid in self._workers())]:
            self.peaks[name] = max(self.peaks.get(name, 0.0), _peak(pid))

    def _workers(self) -> list[int]:
        assert self.process is not None
        found: list[int] = []
        for path in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                words = (path / "cmdline").read_bytes().split(b"\0")
                parent = int((path / "stat").read_text().rpartition(")")[2].split()[1])
                if b"tunery.jobs" in words and parent == self.process.pid:
                    found.append(int(path.name))
        return found

    def _closed(self, process: "subprocess.Popen[str]") -> None:
        process.wait()
        if process.stdout is not None:
            process.stdout.close()


def _peak(pid: int) -> float:
    """The highest resident memory of a process so far, in MB."""
    with suppress(OSError, StopIteration), open(f"/proc/{pid}/status", encoding="ascii") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmHWM")) / 1024
    return 0.0


if __name__ == "__main__":
    main()
