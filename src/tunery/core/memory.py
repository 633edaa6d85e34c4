"""How much memory there is to be had on this machine."""

import os
from pathlib import Path


def available_bytes() -> int:
    """What new processes can use without anything being swapped out."""
    for line in Path("/proc/meminfo").read_text(encoding="ascii").splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) * 1024
    raise OSError("/proc/meminfo names no MemAvailable")


def resident_bytes(pid: int) -> int:
    """What a process has in memory; 0 where there is none."""
    try:
        fields = Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()
    except (FileNotFoundError, ProcessLookupError):
        return 0
    return int(fields[1]) * os.sysconf("SC_PAGE_SIZE")
