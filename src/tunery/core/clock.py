"""Time. Wall time is UTC in integer microseconds; durations come from a clock that never jumps."""

import time
from datetime import UTC, datetime
from functools import cache

MICROSECONDS = 1_000_000


def now_us() -> int:
    """The present moment as UTC microseconds since 1970."""
    return time.time_ns() // 1_000


def boot_us() -> int:
    """Microseconds since this machine booted, sleep included; unmoved by changes of the wall clock.

    Compare two readings only when `boot_id()` was the same at both.
    """
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1_000


@cache
def boot_id() -> str:
    """Names this boot of this machine."""
    with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
        return file.read().strip()


def to_datetime(us: int) -> datetime:
    """UTC microseconds as an aware datetime."""
    return datetime.fromtimestamp(us / MICROSECONDS, UTC)


def stamp(us: int) -> str:
    """UTC microseconds as `20261121-201500`, for default names."""
    return to_datetime(us).strftime("%Y%m%d-%H%M%S")
