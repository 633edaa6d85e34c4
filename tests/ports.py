"""Ports for servers that are given one, and for those that are started again on theirs.

Not what the kernel gives who asks for any port: between the look and the server's start, or while it is down, the
kernel may give that to another, even to a client that tries to reach the very server and then talks to itself.
"""

import os
import socket
from itertools import count
from pathlib import Path
from zlib import crc32

_LOWEST = 10_000
_GIVEN = count()


def free_port() -> int:
    """A loopback port on which nothing listens, below those that the kernel gives; never the same one twice."""
    low = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    # Processes of the same test run take turns.
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    workers = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    room = low - _LOWEST
    if room < 1000:
        return _any_port()
    # Other test runs on this machine begin elsewhere.
    first = crc32((os.environ.get("PYTEST_XDIST_TESTRUNUID") or str(os.getpid())).encode())
    for number in _GIVEN:
        port = _LOWEST + (first + number * workers + worker) % room
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise AssertionError("never")


def _any_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
