"""What the engine asks of the machine: threads, allocator, bf16, memory in use. Imports no torch."""

import ctypes
import os
from pathlib import Path

_M_TRIM_THRESHOLD = -1
_M_MMAP_THRESHOLD = -3
_KEEP = 2**31 - 1

THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "RAYON_NUM_THREADS")


def limit_threads(threads: int) -> int:
    """Hold every numeric library to `threads` (0 = as many as there are cores); before torch is imported."""
    count = threads or len(os.sched_getaffinity(0))
    for name in THREAD_VARIABLES:
        os.environ[name] = str(count)
    # Threads that wait for each other by spinning starve each other on a machine that does anything else too:
    # measured with five other busy processes on two cores, 884 tokens/s against 160.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    return count


def keep_freed_memory() -> None:
    """Let glibc keep freed memory for the next tensor of that size.

    Each step frees and asks again for the same blocks; handing them to the kernel in between costs a page
    fault for every 4 KiB.
    """
    libc = ctypes.CDLL(None)
    if hasattr(libc, "mallopt"):
        libc.mallopt(_M_MMAP_THRESHOLD, _KEEP)
        libc.mallopt(_M_TRIM_THRESHOLD, _KEEP)


def has_bf16() -> bool:
    """Whether this processor multiplies bf16 matrices itself; emulating it is slower than fp32."""
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="ascii", errors="replace")
    except OSError:
        return False
    flags = next((line for line in text.splitlines() if line.startswith(("flags", "Features"))), "").split()
    return not {"avx512_bf16", "amx_bf16", "bf16"}.isdisjoint(flags)


def memory_limit_mb() -> float:
    """Memory that this process may use, in MiB: the machine's, or what its control group is held to."""
    lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
    total = next(int(line.split()[1]) / 1024 for line in lines if line.startswith("MemTotal:"))
    for path in ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"):
        try:
            text = Path(path).read_text(encoding="ascii").strip()
        except OSError:
            continue
        if text.isdecimal():
            total = min(total, int(text) / 2**20)
    return total


def memory_mb(peak: bool = False) -> float:
    """Resident memory of this process, now or at its highest, in MiB."""
    wanted = "VmHWM:" if peak else "VmRSS:"
    for line in Path("/proc/self/status").read_text(encoding="ascii", errors="replace").splitlines():
        if line.startswith(wanted):
            return int(line.split()[1]) / 1024
    return 0.0
