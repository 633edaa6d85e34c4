"""When a schedule starts: cron expressions in a time zone, across its changes of the clock.

A day on which the clock jumps over the time, or shows it twice, has one start all the same. It knows no pipeline.
"""

from collections.abc import Iterator
from datetime import datetime, time, timedelta
from itertools import islice
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError

from tunery.core.clock import MICROSECONDS, to_datetime
from tunery.core.errors import Problem, Where
from tunery.schemas.run import TriggerSpec

SHOWN = 5
_FIELDS = 5


class Timetable:
    """The times of one schedule. Raises Problem `schedule_invalid`."""

    def __init__(self, trigger: TriggerSpec) -> None:
        self._cron = trigger.cron or ""
        try:
            self._zone = ZoneInfo(trigger.time_zone)
        except (ValueError, OSError, LookupError) as error:
            raise _invalid("time_zone", f"there is no time zone “{trigger.time_zone}”") from error
        if len(self._cron.split()) != _FIELDS:
            raise _invalid("cron", f"“{self._cron}” doesn't have five fields")
        try:
            next(CronSim(self._cron, datetime.now(self._zone)))
        except (CronSimError, StopIteration) as error:
            raise _invalid("cron", f"“{self._cron}” never matches a time") from error
        self._first = trigger.first_day and datetime.combine(trigger.first_day, time(), self._zone)
        self._end = trigger.last_day and datetime.combine(
            trigger.last_day + timedelta(days=1), time(), self._zone
        )

    def after(self, us: int, count: int = SHOWN) -> list[int]:
        """The next `count` starts after a moment, in UTC microseconds; fewer where the last day comes before."""
        return list(islice(self._starts(us), count))

    def _starts(self, us: int) -> Iterator[int]:
        begin = to_datetime(us).astimezone(self._zone)
        if self._first and begin < self._first:
            begin = self._first - timedelta(minutes=1)
        for start in CronSim(self._cron, begin):
            if self._end and start >= self._end:
                return
            found = round(start.timestamp()) * MICROSECONDS
            if found > us:
                yield found


def _invalid(field: str, detail: str) -> Problem:
    return Problem("schedule_invalid", where=Where(field=f"trigger.{field}"), detail=detail)
