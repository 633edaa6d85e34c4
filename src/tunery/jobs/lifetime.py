"""How long an attempt lasted, whatever became of the wall clock meanwhile: its end is told by the clock it began with.

A bill counts these spans; a clock that is set a day forward must not cost a day.
"""

from typing import Any

from sqlalchemy import Row

from tunery.core.clock import boot_id, boot_us, now_us


def beginning() -> dict[str, Any]:
    """The values of a new attempt's row."""
    return {"started": now_us(), "clock": boot_us(), "clock_boot": boot_id()}


def now_for(attempt: Row[Any]) -> int:
    """The present moment, as the wall clock would have it if nobody had set it since the attempt began."""
    if attempt.clock_boot != boot_id():  # begun before a reboot, or on another machine
        return now_us()
    return attempt.started + boot_us() - attempt.clock


def end_for(attempt: Row[Any], last_sign: int | None) -> int:
    """When the attempt ended: at its engine's last sign, which is some time ago."""
    ago = 0 if last_sign is None else now_us() - last_sign
    return max(attempt.started, now_for(attempt) - max(0, ago))
