"""What a worker says of the engines it keeps waiting: DATA/standby.json."""

from typing import Literal

from tunery.schemas.base import Schema

WhyNone = Literal["off", "memory", "busy", "failed", "starting"]


class StandbyReport(Schema):
    """The engines that wait, or why none does."""

    processes: list[dict[str, int | str]] = []
    """Pid, start time and boot of each."""
    why_none: WhyNone | None = None
    """off: by the setting. memory: too little is free. busy: one works. failed: the last one ended by itself."""
